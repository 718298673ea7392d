#!/bin/sh
# scripts/waypipe-run.sh COMMAND...: runs COMMAND with waypipe between it and this session's compositor, on this machine: the
# peer that `neep bench wayland --against` is held against.
set -eu
command -v waypipe >/dev/null || {
    echo "waypipe-run: waypipe is missing: install it" >&2
    exit 1
}
folder=$(mktemp -d)
waypipe --no-gpu --socket "$folder/socket" client &
client=$!
trap 'kill $client 2>/dev/null; rm -rf "$folder"' EXIT
until [ -e "$folder/socket" ]; do sleep 0.05; done
# Its own exit status tells of the connection, which the command ends.
export folder
# shellcheck disable=SC2016
waypipe --no-gpu --socket "$folder/socket" server -- sh -c '"$@"; echo $? >"$folder/status"' - "$@" || true
exit "$(cat "$folder/status")"
