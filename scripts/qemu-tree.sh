#!/bin/sh
# Makes a folder with another QEMU release beside the one of this machine and prints the path of a program that runs it.
# The packages are unpacked, not installed: the program starts QEMU through the tree's own dynamic loader, so it needs no
# root, no chroot, and sees the sockets and files of the host as they are.
#
# Exit status: 0 done, 1 failed, 2 usage, 3 the package mirror cannot be reached.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)

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
    --dir) dir=${2?$1 needs a value} && shift ;;
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
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tree=$dir/$suite$kernel
run=$tree/run-qemu

if [ -x "$run" ]; then
    echo "$run"
    exit 0
fi

log=$dir/$suite.log
new=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new"

packages=qemu-system-x86
[ -z "$kernel" ] || packages="$packages linux-image-amd64 kmod"

echo "qemu-tree: unpacking QEMU of $suite into $tree (about 170 MB)" >&2
# shellcheck disable=SC2086
"$scripts/unpack-debian.sh" "$suite" "$new/tree" "$log" $packages

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
