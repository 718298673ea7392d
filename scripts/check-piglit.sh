#!/bin/bash
# OpenGL through zink: piglit's tests on the host's Vulkan and through neep, verdict by verdict; prints TAP.
# usage: scripts/check-piglit.sh BUILD [--mesa SUITE] [--all-groups] [OPTIONS OF tests/piglit/compare.py]
#        A fixed third of the OpenGL 1.1 group of quick_gl; --every N: one test of N; --long: all of it; --all-groups: all of quick_gl.
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-piglit.sh BUILD [OPTIONS]}" && pwd)
shift
mesa=trixie
options=()
while [ $# -gt 0 ]; do
    case $1 in
    --mesa) mesa=${2?$1 needs a value} && shift ;;
    --all-groups) options+=(--long --tests '.*') ;;
    *) options+=("$1") ;;
    esac
    shift
done
enter=$(scripts/mesa-tree.sh --with piglit "$mesa")
# A heap as large as this machine's memory would let streaming-texture-leak fill it twice.
exec tests/piglit/compare.py --enter "$enter" --wrapper "$build/src/cli/neep run --hostmem 4G --" --layer "$build/tests/piglit" \
    --keep "$build/piglit/$mesa" "${options[@]}"
