#!/bin/bash
# Two programs on one device, one of them killed at 100 random moments; prints TAP.
# usage: scripts/check-kill.sh BUILD [--mesa SUITE|host] [OPTIONS OF tests/vulkan/kill.py]
set -eu
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: scripts/check-kill.sh BUILD [OPTIONS]}" && pwd)
shift
mesa=trixie
if [ "${1:-}" = --mesa ]; then
    mesa=${2?$1 needs a value}
    shift 2
fi
enter=
[ "$mesa" = host ] || enter=$(scripts/mesa-tree.sh "$mesa")
exec tests/vulkan/kill.py --steady "$build/tests/vulkan/vk-steady" --wrapper "$enter $build/src/cli/neep run --" "$@"
