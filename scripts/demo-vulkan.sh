#!/bin/sh
# The Vulkan half of make demo: a plain Vulkan program draws a turning mesh through neep run, and one of its frames becomes
# demo-vulkan.png. No virtual machine.
set -eu
cd "$(dirname "$0")/.."

FRAMES=16
SHOWN=5
HEIGHT=960

usage() {
    cat <<END
usage: scripts/demo-vulkan.sh [--build DIR] [--out FILE.png] [--mesa SUITE] [--wrapper COMMAND]
  --build DIR        where the project was built (default: build)
  --out FILE.png     where the picture goes (default: demo-vulkan.png)
  --mesa SUITE       the Mesa of that release (see scripts/mesa-tree.sh), or host: this machine's own (default: host if it
                     has the gfxstream guest driver, else trixie)
  --wrapper COMMAND  what the program runs under (default: DIR/src/cli/neep run --)
END
}

die() {
    echo "demo-vulkan: $*" >&2
    exit 1
}

build=build
out=demo-vulkan.png
mesa=
wrapper=
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2?$1 needs a value} && shift ;;
    --out) out=${2?$1 needs a value} && shift ;;
    --mesa) mesa=${2?$1 needs a value} && shift ;;
    --wrapper) wrapper=${2?$1 needs a value} && shift ;;
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
program=$build/tests/vulkan/vk-mesh
[ -x "$program" ] || die "$program is missing: it needs libvulkan-dev and glslang-tools when neep is configured"
if [ -z "$mesa" ]; then
    mesa=trixie
    for driver in /usr/share/vulkan/icd.d/gfxstream*.json; do
        [ ! -e "$driver" ] || mesa=host
    done
fi
enter=
[ "$mesa" = host ] || enter=$(scripts/mesa-tree.sh "$mesa")

frames=$(mktemp -d)
trap 'rm -rf "$frames"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck disable=SC2086
$enter ${wrapper:-"$build/src/cli/neep" run --} "$program" "$frames" $HEIGHT $FRAMES
cp "$frames/mesh-$SHOWN.png" "$out"
echo "demo-vulkan: $FRAMES frames of $program; frame $SHOWN is $out"
