#!/bin/sh
# Makes a folder with another QEMU release beside the one of this machine and prints the path of a program that runs it.
# The packages are unpacked, not installed: the program starts QEMU through the tree's own dynamic loader, so it needs no
# root, no chroot, and sees the sockets and files of the host as they are.
#
# Exit status: 0 done, 1 failed, 2 usage, 3 the package mirror cannot be reached.
set -eu

MIRROR_UNREACHABLE=3

usage() {
    cat <<END
usage: scripts/qemu-tree.sh [--dir DIR] [--kernel] SUITE
  SUITE      trixie (QEMU 10.0) or trixie-backports (QEMU 11.x)
  --dir DIR  the trees go to DIR/SUITE (default: \$NEEP_QEMU_DIR or build/qemu)
  --kernel   put the suite's kernel package into the tree too, for guest-image.sh --kernel-root
END
}

dir=${NEEP_QEMU_DIR:-build/qemu}
kernel=
suite=

die() {
    echo "qemu-tree: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --dir)
        [ $# -ge 2 ] || die "$1 needs a value"
        dir=$2
        shift
        ;;
    --kernel) kernel=-kernel ;;
    --help)
        usage
        exit 0
        ;;
    trixie | trixie-backports) suite=$1 ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
if [ -z "$suite" ]; then
    usage >&2
    exit 2
fi
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run scripts/deps.sh"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tree=$dir/$suite$kernel
run=$tree/run-qemu

if [ -x "$run" ]; then
    echo "$run"
    exit 0
fi

# Prints the first archive of this machine's own apt configuration that carries Debian's main suites.
host_mirror() {
    apt-get indextargets --format '$(SITE) $(RELEASE) $(CREATED_BY) $(ORIGIN) $(SUITE)' 'Created-By: Packages' |
        awk '$4 == "Debian" && $5 !~ /security/ { print $1; exit }'
}

mirror=$(host_mirror)
[ -n "$mirror" ] || die "the apt sources of this machine name no Debian archive (after apt-get update)"

log=$dir/$suite.log
new=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new"

packages=qemu-system-x86
[ -z "$kernel" ] || packages="$packages,linux-image-amd64,kmod"
set -- "deb $mirror trixie main"
[ "$suite" = trixie ] || set -- "$@" "deb $mirror $suite main"

echo "qemu-tree: unpacking QEMU of $suite into $tree (about 170 MB)" >&2
status=0
# Nothing is run inside the tree with this variant, so the mode that needs no privilege does for root as well.
mmdebstrap --variant=extract --mode=chrootless --format=directory --architectures=amd64 --include="$packages" \
    --aptopt="APT::Default-Release \"$suite\"" --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Retries "2"' --aptopt='Acquire::http::Timeout "20"' \
    trixie "$new/tree" "$@" >"$log" 2>&1 || status=$?
if [ "$status" != 0 ]; then
    if grep -qE 'Could not (resolve|connect)|Temporary failure|Unable to connect|Connection (failed|timed out|refused)|Failed to fetch' "$log"; then
        echo "qemu-tree: the package mirror cannot be reached, so there is no QEMU of $suite here (see $log)" >&2
        exit $MIRROR_UNREACHABLE
    fi
    tail -n 5 "$log" >&2
    die "cannot unpack QEMU of $suite (see $log)"
fi

# The folder moves as a whole, so the program finds the tree from where it lies itself.
cat >"$new/tree/run-qemu" <<'END'
#!/bin/sh
tree=$(cd "$(dirname "$0")" && pwd)
lib=$tree/usr/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=$lib/qemu exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:$lib/pulseaudio" \
    "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
END
chmod 755 "$new/tree/run-qemu"
"$new/tree/run-qemu" --version >"$log.version" 2>&1 || die "the unpacked QEMU does not start (see $log.version)"
rm -rf "$tree"
mv "$new/tree" "$tree"
echo "qemu-tree: $(head -n 1 "$log.version")" >&2
echo "$run"
