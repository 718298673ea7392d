#!/bin/sh
# Prints the first archive of this machine's own apt configuration that carries Debian's main suites; NEEP_DEBIAN_MIRROR
# names another one.
set -eu
if [ -n "${NEEP_DEBIAN_MIRROR:-}" ]; then
    echo "$NEEP_DEBIAN_MIRROR"
    exit 0
fi
mirror=
if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(CREATED_BY) $(ORIGIN) $(SUITE)' 'Created-By: Packages' |
        awk '$4 == "Debian" && $5 !~ /security/ { print $1; exit }')
fi
if [ -z "$mirror" ]; then
    echo "debian-mirror: the apt sources of this machine name no Debian archive (after apt-get update): set NEEP_DEBIAN_MIRROR" >&2
    exit 1
fi
echo "$mirror"
