#!/bin/bash
# The whole VM by `neep vm`: a stock Debian guest with Vulkan and Wayland on QEMU 11; prints TAP.
# usage: scripts/check-vm.sh BUILD [--long] [OPTIONS OF tests/vm/whole.py]
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-vm.sh BUILD [--long]}" && pwd)
shift
long=
reboots=1
if [ "${1:-}" = --long ]; then
    long=--long
    reboots=3
    shift
fi
cache=${NEEP_VM_CACHE:-build/vm-cache}
qemu=$(scripts/qemus.sh | tail -n 1)
exec tests/vm/whole.py --build "$build" --qemu "$qemu" --cache "$cache" --keep "$build/vm-pictures" --reboots "$reboots" $long "$@"
