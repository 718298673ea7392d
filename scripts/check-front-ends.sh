#!/bin/bash
# What `neep vm` makes of each QEMU of scripts/qemus.sh with each front-end, and how it ends there; prints TAP.
# usage: scripts/check-front-ends.sh BUILD [OPTIONS OF tests/vm/front_ends.py]
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-front-ends.sh BUILD}" && pwd)
shift
options=()
while read -r qemu; do
    options+=(--qemu "$qemu")
done < <(scripts/qemus.sh)
exec tests/vm/front_ends.py --build "$build" --cache "${NEEP_VM_CACHE:-build/vm-cache}" --keep "$build/vm-pictures/front-ends" \
    "${options[@]}" "$@"
