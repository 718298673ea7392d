#!/bin/bash
# A compositor and a client, both through neep on one device: a screenshot is compared; prints TAP.
# usage: scripts/check-compositor.sh BUILD [--mesa SUITE] [--compositor sway|weston] [--proxy] [--native] [--keep FOLDER]
#        --proxy: neep-wayland stands between the two, and passes dma-bufs on
#        --native: without neep, with the renderer that needs no GPU
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-compositor.sh BUILD [OPTIONS]}" && pwd)
shift
mesa=trixie
compositor=sway
native=
proxy=
keep=$build/compositor
while [ $# -gt 0 ]; do
    case $1 in
    --mesa) mesa=${2?$1 needs a value} && shift ;;
    --compositor) compositor=${2?$1 needs a value} && shift ;;
    --keep) keep=${2?$1 needs a value} && shift ;;
    --native) native=1 ;;
    --proxy) proxy=1 ;;
    *)
        echo "check-compositor: \"$1\" is not an option here" >&2
        exit 2
        ;;
    esac
    shift
done
client=$build/tests/vulkan/wayland-client
[ -x "$client" ] || {
    echo "check-compositor: $client is missing: it needs libwayland-dev and wayland-protocols" >&2
    exit 1
}
enter=$(scripts/mesa-tree.sh --with compositor "$mesa")
show=(tests/vulkan/compositor.py --compositor "$compositor" --client "$client" --keep "$keep")
[ -z "$proxy" ] || show+=(--proxy "$build/guest/wayland/neep-wayland")
if [ -n "$native" ]; then
    exec "$enter" "${show[@]}" --renderer pixman
fi
exec "$enter" "$build/src/cli/neep" run -- "${show[@]}" --renderer gles2 --dma-buf
