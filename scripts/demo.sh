#!/bin/sh
# make demo: boots a Debian guest with our device, has it draw, and writes what the device received to demo.png.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<END
usage: scripts/demo.sh [--build DIR] [--out FILE.png] [--qemu COMMAND] [--backend TEMPLATE] [--screenshot TEMPLATE]
  --build DIR            where the project was built (default: build)
  --out FILE.png         where the picture goes (default: demo.png)
  --qemu COMMAND         QEMU to use (default: this machine's if it can, else that of Debian 13)
  --backend TEMPLATE     another device, as '/usr/lib/qemu/vhost-user-gpu -s {socket}'
  --screenshot TEMPLATE  how to ask that device for its picture (default: QEMU's screendump)
END
}

die() {
    echo "demo: $*" >&2
    exit 1
}

build=build
out=demo.png
qemu=
backend=
screenshot=
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2?$1 needs a value} && shift ;;
    --out) out=${2?$1 needs a value} && shift ;;
    --qemu) qemu=${2?$1 needs a value} && shift ;;
    --backend) backend=${2?$1 needs a value} && shift ;;
    --screenshot) screenshot=${2?$1 needs a value} && shift ;;
    --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
if [ -z "$backend" ]; then
    backend="$build/src/daemon/vhost-user-neep --socket-path={socket} --control={control} --display={display}"
    screenshot=${screenshot:-"$build/src/cli/neep screenshot --control {control} --scanout {scanout} {out}"}
fi

image=${NEEP_VM_DIR:-build/vm}
scripts/guest-image.sh --draw "$build/tests/vm/draw"

boot() {
    tests/vm/boot.py --image "$image" --expected "$build/tests/vm/expected" --backend "$backend" --screenshot "$screenshot" \
        --device gpu-pci "$@"
}

# Older QEMUs serve vhost-user-gpu under KVM only.
if [ -z "$qemu" ]; then
    qemu="qemu-system-x86_64"
    boot --qemu "$qemu" --probe || qemu=$(scripts/qemu-tree.sh trixie) || die "no QEMU here can show the device"
fi
boot --qemu "$qemu" --demo "$out"
