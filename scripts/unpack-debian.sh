#!/bin/sh
# Unpacks Debian packages of another release, with what they depend on, into a new folder. Nothing of them is installed or
# run, so it needs no root.
#
# Exit status: 0 done, 1 failed, 2 usage, 3 the package mirror cannot be reached.
set -eu

MIRROR_UNREACHABLE=3

usage() {
    cat <<END
usage: scripts/unpack-debian.sh SUITE FOLDER LOG PACKAGE...
  SUITE   a release of Debian (bookworm, trixie), or its backports (trixie-backports)
  FOLDER  must not exist
  LOG     a file for what mmdebstrap says
END
}

die() {
    echo "unpack-debian: $*" >&2
    exit 1
}

if [ "${1:-}" = --help ]; then
    usage
    exit 0
elif [ $# -lt 4 ]; then
    usage >&2
    exit 2
fi
suite=$1
folder=$2
log=$3
shift 3
packages=$(echo "$*" | tr ' ' ',')
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run scripts/deps.sh"

mirror=$("$(dirname "$0")/debian-mirror.sh")
release=${suite%-backports}
set -- "deb $mirror $release main"
[ "$suite" = "$release" ] || set -- "$@" "deb $mirror $suite main"

status=0
# Nothing is run inside the tree with this variant, so the mode that needs no privilege does for root as well.
mmdebstrap --variant=extract --mode=chrootless --format=directory --architectures=amd64 --include="$packages" \
    --aptopt="APT::Default-Release \"$suite\"" --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Retries "2"' --aptopt='Acquire::http::Timeout "20"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$release" "$folder" "$@" >"$log" 2>&1 || status=$?
[ "$status" != 0 ] || exit 0

if grep -qE 'Could not (resolve|connect)|Temporary failure|Unable to connect|Connection (failed|timed out|refused)|Failed to fetch' "$log"; then
    echo "unpack-debian: the package mirror cannot be reached, so there are no packages of $suite here (see $log)" >&2
    exit $MIRROR_UNREACHABLE
fi
tail -n 5 "$log" >&2
die "cannot unpack $packages of $suite (see $log)"
