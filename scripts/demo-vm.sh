#!/bin/sh
# make demo-vm: a Vulkan program in a Debian guest, shown by this machine's weston; its screenshot goes to demo-vm.png.
# usage: scripts/demo-vm.sh [--build DIR] [--out FILE.png]
set -eu
cd "$(dirname "$0")/.."
qemu=$(scripts/qemus.sh | tail -n 1)
exec tests/vm/demo_vm.py --qemu "$qemu" --cache "${NEEP_VM_CACHE:-build/vm-cache}" "$@"
