#!/bin/sh
# Runs a program on Venus, virglrenderer's way of Vulkan in guests, without a VM: virgl_test_server plays the host and Mesa's
# guest driver talks to its socket. For comparisons: neep bench vulkan --against scripts/venus-run.sh.
#
# Both come in one tree of a Debian that has them (scripts/mesa-tree.sh --with venus trixie), where this runs as it is.
set -eu

if [ $# -eq 0 ] || [ "$1" = --help ]; then
    echo "usage: scripts/venus-run.sh PROGRAM [ARGUMENT...]"
    exit 2
fi

die() {
    echo "venus-run: $*" >&2
    exit 125
}

manifest=
for file in /usr/share/vulkan/icd.d/virtio_icd*.json; do
    [ ! -f "$file" ] || manifest=$file
done
[ -n "$manifest" ] || die "Mesa's Venus driver is missing (virtio_icd.json of mesa-vulkan-drivers)"
command -v virgl_test_server >/dev/null || die "virgl_test_server is missing (package virgl-server)"

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

virgl_test_server --venus --no-virgl --multi-clients --socket-path "$folder/socket" >"$folder/log" 2>&1 &
server=$!
tries=0
while [ ! -S "$folder/socket" ]; do
    kill -0 "$server" 2>/dev/null || die "virgl_test_server ended: $(tail -n 1 "$folder/log")"
    tries=$((tries + 1))
    [ "$tries" -le 500 ] || die "virgl_test_server makes no socket"
    sleep 0.01
done
# The feedback of fences and the like goes through memory of the device that vtest cannot map without dma-bufs: the guest driver
# would wait for ever.
feedback=no_fence_feedback,no_semaphore_feedback,no_event_feedback,no_query_feedback
VN_DEBUG=vtest VN_PERF=${VN_PERF:-$feedback} VTEST_SOCKET_NAME="$folder/socket" VK_DRIVER_FILES="$manifest" "$@"
