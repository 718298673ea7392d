#!/bin/bash
# Boots Debian guests with our device under every QEMU to be had and compares pixels; prints TAP.
# usage: scripts/check-guests.sh BUILD-FOLDER [--long] [OPTIONS OF tests/vm/boot.py]
#        scripts/check-guests.sh BUILD-FOLDER --bare         the guest without an operating system, also under QEMU 7.2
set -eu
cd "$(dirname "$0")/.."
build=${1:?usage: scripts/check-guests.sh BUILD-FOLDER [--long] [OPTIONS]}
shift
quick=--quick
if [ "${1:-}" = --long ]; then
    quick=
    shift
fi

neep=$build/src/cli/neep
words="--socket-path={socket} --control={control} --display={display}"
qemus=()
while read -r command; do
    qemus+=(--qemu "$command")
done < <(scripts/qemus.sh)
if [ "${1:-}" = --bare ]; then
    exec tests/vm/bare.py --kernel "$build/tests/vm/bare/bare" --expected "$build/tests/vm/expected" \
        --backend "$build/src/daemon/vhost-user-neep $words" --artifacts "$build/guest-pictures" "${qemus[@]}"
fi
scripts/guest-image.sh --draw "$build/tests/vm/draw" --blob "$build/tests/vm/blob" --wayland "$build/tests/vm/wayland"
exec tests/vm/boot.py --image "${NEEP_VM_DIR:-build/vm}" --expected "$build/tests/vm/expected" --peer neep ${quick:+"$quick"} \
    --backend "$build/src/daemon/vhost-user-neep $words" --backend-3d "$build/tests/vm/vhost-user-neep-fake $words" \
    --screenshot "$neep screenshot --control {control} --scanout {scanout} {out}" \
    --stats "$neep stats --control {control}" \
    --resize "$neep resize --control {control} {scanout} {size}" \
    --artifacts "$build/guest-pictures" "${qemus[@]}" "$@"
