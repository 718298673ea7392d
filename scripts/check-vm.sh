#!/bin/bash
# The whole VM by `neep vm`: a stock Debian guest with Vulkan and Wayland on QEMU 11; prints TAP.
# usage: scripts/check-vm.sh BUILD [--long] [OPTIONS OF tests/vm/whole.py]
#        scripts/check-vm.sh BUILD --boot-time [OPTIONS OF tests/vm/boot_time.py]    beside QEMU's own virtio-gpu, by hand
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-vm.sh BUILD [--long]}" && pwd)
shift
reboots=3
if [ "${1:-}" = --long ]; then
    reboots=10
    shift
fi
cache=${NEEP_VM_CACHE:-build/vm-cache}
qemu=$(scripts/qemus.sh | tail -n 1)
if [ "${1:-}" = --boot-time ]; then
    shift
    exec tests/vm/boot_time.py --build "$build" --qemu "$qemu" --cache "$cache" "$@"
fi
mesa=$(scripts/mesa-tree.sh --with piglit trixie)
exec tests/vm/whole.py --build "$build" --qemu "$qemu" --cache "$cache" --mesa "$mesa" --keep "$build/vm-pictures" --reboots "$reboots" "$@"
