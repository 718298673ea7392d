#!/bin/bash
# Runs piglit's tests without its framework, in a guest and here: each line of LIST ("PROGRAM ARGUMENT...") in FOLDER/bin, two
# at a time; OUT/LINE has what it says, and its exit status in the last line.
# usage: run.sh FOLDER LIST OUT
set -u
folder=$1
list=$2
out=$3
export PIGLIT_PLATFORM=surfaceless_egl MESA_LOADER_DRIVER_OVERRIDE=zink

# The libraries of FOLDER/more are for systems that do not have them.
more=$(mktemp -d)
trap 'rm -rf "$more"' EXIT
for library in "$folder"/more/*; do
    [ -e "/usr/lib/x86_64-linux-gnu/${library##*/}" ] || ln -s "$library" "$more/"
done
export LD_LIBRARY_PATH=$folder/lib:$more${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

one() { # LINE PROGRAM ARGUMENT...
    local line=$1 program=$2
    shift 2
    timeout 300 "$folder/bin/$program" "$@" >"$out/$line" 2>&1
    echo "status: $?" >>"$out/$line"
}

mkdir -p "$out"
line=0
while read -r program arguments; do
    line=$((line + 1))
    [ "$line" -le 2 ] || wait -n
    # shellcheck disable=SC2086
    one "$line" "$program" $arguments </dev/null &
done <"$list"
wait
