#!/bin/sh
# Prints commands that start QEMU, one per line, oldest first: this machine's own, and those of other Debian releases that
# have what it lacks (10.0: vhost-user-gpu without KVM; 11.x: the generic device). A release that cannot be fetched is told
# on standard error and left out.
set -eu
cd "$(dirname "$0")/.."

major=0
if command -v qemu-system-x86_64 >/dev/null; then
    major=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
    echo qemu-system-x86_64
fi
[ "$major" -ge 10 ] || scripts/qemu-tree.sh trixie || true
[ "$major" -ge 11 ] || scripts/qemu-tree.sh trixie-backports || true
