#!/bin/bash
# Wayland programs through neep, and without it, on compositors that have no screen (weston, sway); prints TAP.
#
# Pictures of stills are compared pixel for pixel, of programs that move their numbers are; what the cases are, and what each
# compares, stands at the head of tests/wayland/case_*.py.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<END
usage: scripts/check-wayland.sh BUILD [OPTION]... [CASE...]
  BUILD           the build folder; CASE is a regular expression for names of cases (default: all)
  --wrapper TEXT  what clients run under (default: BUILD/src/cli/neep run --driver none --wayland --)
  --native        hold clients without neep against clients without neep: a check of the cases
  --keep FOLDER   where logs and screenshots go (default: BUILD/wayland)
END
}

build=
wrapper=
native=
keep=
cases=()
while [ $# -gt 0 ]; do
    case $1 in
    --wrapper) wrapper=${2?$1 needs a value} && shift ;;
    --keep) keep=${2?$1 needs a value} && shift ;;
    --native) native=1 ;;
    --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) if [ -z "$build" ]; then build=$1; else cases+=("$1"); fi ;;
    esac
    shift
done
[ -n "$build" ] || {
    usage >&2
    exit 2
}
build=$(cd "$build" && pwd)
wrapper=${wrapper:-$build/src/cli/neep run --driver none --wayland --}
[ -z "$native" ] || wrapper=
if [ -z "$keep" ]; then
    keep=$build/wayland
    rm -rf "$keep"
fi
# "${cases[@]}" of an empty array is an error to older shells under set -u.
exec python3 -B tests/wayland/check.py --build "$build" --wrapper "$wrapper" --keep "$keep" ${cases[@]+"${cases[@]}"}
