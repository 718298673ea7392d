#!/bin/sh
# CHECK [programs|bench] [OPTION...]: the part of scripts/gpu-check.sh that runs on the machine with the GPU, out of the folder
# that it put together. OPTIONs are for neep bench vulkan. The exit status is 1 when something fails or differs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
neep=$here/neep/cli/neep
status=0

what=all
case ${1:-} in
programs | bench)
    what=$1
    shift
    ;;
esac

# What the machine has of the carried libraries is left out: its own are as new or newer. Copied, since a renderer is shown no
# more than the folder.
mkdir -p "$here/used"
for file in "$here"/lib/*; do
    name=${file##*/}
    ldconfig -p 2>/dev/null | grep -qF "$name " || cp -L "$file" "$here/used/$name"
done
export LD_LIBRARY_PATH="$here/used${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# Where the loader finds the guest driver, in neep run, and the machine's own, also where NVIDIA's lies in a folder of its own. A
# choice by VK_DRIVER_FILES would hold on both sides.
unset VK_DRIVER_FILES VK_ICD_FILENAMES
export XDG_DATA_DIRS="$here/guest:/usr/local/nvidia/share:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"

# NVIDIA's driver has two doors, and its manifest names the one that wants X. Where that does not open, the other one is
# told in a place that the sandbox of a renderer shows, too.
without_x=/etc/vulkan/icd.d/neep-gpu-check.json
if ! "$here/neep/vkbench/neep-bench-vulkan" info >/dev/null 2>&1 && [ -w /etc ]; then
    mkdir -p "${without_x%/*}"
    echo '{ "file_format_version": "1.0.0", "ICD": { "library_path": "libEGL_nvidia.so.0", "api_version": "1.4.312" } }' >"$without_x"
    trap 'rm -f "$without_x"' EXIT
fi

# Runs one program both ways and compares what it wrote, byte for byte.
check_program() { # PROGRAM
    name=${1##*/}
    rm -rf "$here/results"
    mkdir -p "$here/results/native" "$here/results/neep"
    timeout 120 "$1" "$here/results/native" >"$here/results/native.log" 2>&1
    native=$?
    timeout 120 "$neep" run -- "$1" "$here/results/neep" >"$here/results/neep.log" 2>&1
    through=$?
    verdict=same
    if [ "$native" = 77 ] && [ "$through" = 0 ]; then
        verdict="passes through neep, cannot be done natively: $(tail -n 1 "$here/results/native.log")"
    elif [ "$through" = 77 ] && reason=$(grep "^${name#vk-} all " "$here/vulkan/not-offered"); then
        verdict="not offered: ${reason#* all }"
    elif [ "$native" != "$through" ]; then
        verdict="DIFFERS: exit status $native natively, $through through neep: $(tail -n 1 "$here/results/neep.log")"
        status=1
    elif ! difference=$(diff -rq "$here/results/native" "$here/results/neep"); then
        verdict="DIFFERS: $(echo "$difference" | head -n 1)"
        status=1
    elif [ "$native" = 77 ]; then
        verdict="cannot be done here: $(tail -n 1 "$here/results/native.log")"
    elif [ "$native" != 0 ]; then
        verdict="FAILS both ways: $(tail -n 1 "$here/results/native.log")"
        status=1
    fi
    printf '%-24s %s\n' "$name" "$verdict"
}

"$here/neep/vkbench/neep-bench-vulkan" info || exit 1
if [ "$what" != bench ]; then
    for program in "$here"/vulkan/vk-*; do
        [ ! -x "$program" ] || check_program "$program"
    done
fi
if [ "$what" != programs ]; then
    "$neep" bench vulkan "$@" 2>"$here/bench.log" || {
        status=1
        grep -v ', round ' "$here/bench.log"
    }
fi
exit $status
