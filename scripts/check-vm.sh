#!/bin/bash
# The whole VM by `neep vm`: a stock Debian guest with Vulkan and Wayland; prints TAP. The front-end is the generic device of QEMU
# 11, or, which takes a build of QEMU first, virtio-gpu-rutabaga on our library.
# usage: scripts/check-vm.sh BUILD [--long] [--front-end generic|rutabaga] [OPTIONS OF tests/vm/whole.py]
#        scripts/check-vm.sh BUILD --boot-time [OPTIONS OF tests/vm/boot_time.py]    beside QEMU's own virtio-gpu, by hand
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-vm.sh BUILD [--long] [--front-end generic|rutabaga]}" && pwd)
shift
long=
reboots=3
if [ "${1:-}" = --long ]; then
    long=--long
    reboots=10
    shift
fi
front_end=generic
if [ "${1:-}" = --front-end ]; then
    front_end=${2:?--front-end: generic or rutabaga}
    shift 2
fi
cache=${NEEP_VM_CACHE:-build/vm-cache}
case $front_end in
rutabaga) qemu=$(scripts/qemu-with-rutabaga.sh --build "$build") ;;
*) qemu=$(scripts/qemus.sh | tail -n 1) ;;
esac
if [ "${1:-}" = --boot-time ]; then
    shift
    exec tests/vm/boot_time.py --build "$build" --qemu "$qemu" --cache "$cache" "$@"
fi
mesa=$(scripts/mesa-tree.sh --with piglit trixie)
exec tests/vm/whole.py --build "$build" --front-end "$front_end" --qemu "$qemu" --cache "$cache" --mesa "$mesa" \
    --keep "$build/vm-$front_end" --reboots "$reboots" $long "$@"
