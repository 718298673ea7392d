#!/bin/sh
# Configures and builds a folder: scripts/build.sh [FOLDER [MESON OPTIONS...]]. Warnings are errors when CI is set.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build}
[ $# -eq 0 ] || shift

if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" -Dwerror="$([ -n "${CI:-}" ] && echo true || echo false)" "$@" >"$folder.log" 2>&1 || {
        cat "$folder.log" >&2
        rm -f "$folder.log"
        exit 1
    }
    rm -f "$folder.log"
fi
exec ninja -C "$folder"
