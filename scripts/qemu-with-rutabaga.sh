#!/bin/sh
# Builds Debian's QEMU source, as it is, with virtio-gpu-rutabaga on our library, and prints the path of a program that runs it.
# The library is the one of the build folder: QEMU need not be built again when that one is.
#
# Exit status: 0 done, 1 failed, 2 usage, 3 the package mirror cannot be reached.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)

MIRROR_UNREACHABLE=3
SUITE=trixie-backports
# What is built where the mirror lists SUITE's source and does not have it: the oldest that will do, by its .dsc.
OTHER_VERSION=10.2.2+ds-1
OTHER_SHA256=f1684b3aa5ec500c3389d346c6501dee45041ea91656c6556d4da9023b7987dd
MESON_NEEDED=1.9.0

usage() {
    cat <<END
usage: scripts/qemu-with-rutabaga.sh [--build BUILD] [--dir DIR] [--source SOURCE] [-- CONFIGURE OPTION...]
  --build BUILD    the build folder whose library QEMU gets (default: build)
  --dir DIR        where QEMU goes (default: \$NEEP_QEMU_RUTABAGA_DIR or build/qemu-rutabaga; about 2 GB while it is built)
  --source SOURCE  QEMU's source, unpacked (default: Debian's, of $SUITE)
  CONFIGURE OPTION what QEMU is to have beside the device: --enable-gtk, --enable-vnc ...
END
}

die() {
    echo "qemu-with-rutabaga: $*" >&2
    exit 1
}

say() {
    echo "qemu-with-rutabaga: $*" >&2
}

build=build
dir=${NEEP_QEMU_RUTABAGA_DIR:-build/qemu-rutabaga}
source=
while [ $# -gt 0 ]; do
    case $1 in
    --build | --dir | --source)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --build) build=$2 ;;
        --dir) dir=$2 ;;
        --source) source=$2 ;;
        esac
        shift 2
        ;;
    --help)
        usage
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

package=$build/meson-private/rutabaga_gfx_ffi.pc
for file in "$package" "$build/src/rutabaga/librutabaga_gfx_ffi.so.0"; do
    [ -e "$file" ] || die "there is no library in $build: run scripts/build.sh $build"
done
library=$(cd "$build/src/rutabaga" && pwd)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
run=$dir/run-qemu
log=$dir/log

# The program to run: what changes from one build folder of ours to the next is in it alone.
write_run() {
    cat >"$run.new" <<END
#!/bin/sh
# QEMU on our library; the firmware is this machine's.
LD_LIBRARY_PATH="$library\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" \\
    exec "$dir/qemu-system-x86_64" -L /usr/share/qemu -L /usr/share/seabios -L /usr/lib/ipxe/qemu "\$@"
END
    chmod 755 "$run.new"
    mv "$run.new" "$run"
}

configuration="$source $*"
if [ -x "$dir/qemu-system-x86_64" ] && [ "$(cat "$dir/configuration" 2>/dev/null)" = "$configuration" ]; then
    write_run
    echo "$run"
    exit 0
fi

"$scripts/deps.sh" qemu-build || exit 1
new=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
: >"$log"

mirror_failed() {
    tail -n 5 "$log" >&2
    say "the package mirror cannot be reached, so there is no source of QEMU here (see $log)"
    exit $MIRROR_UNREACHABLE
}

# apt with lists and a cache of its own; everything it fetches is checked against Debian's keys.
apt() {
    apt-get -q -o Dir::Etc::sourcelist="$new/apt/list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$new/apt/lists" \
        -o Dir::Cache="$new/apt" -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20 "$@" >>"$log" 2>&1
}

fetch_newest() {
    mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ ! -f "$keyring" ] || signed="[signed-by=$keyring] "
    echo "deb-src ${signed:-}$mirror $SUITE main" >"$new/apt/list"
    apt update -o APT::Update::Error-Mode=any || mirror_failed
    (cd "$new/download" && apt source --download-only qemu)
}

# $1 is a file of Debian's pool, $2 its SHA-256.
fetch_file() {
    /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$mirror/pool/main/q/qemu/$1" "$new/download/$1" \
        "SHA256:$2" >>"$log" 2>&1
}

# The .dsc is known by its checksum, and knows its files by theirs.
fetch_other() {
    dsc=qemu_$OTHER_VERSION.dsc
    fetch_file "$dsc" "$OTHER_SHA256" || mirror_failed
    sed -n '/^Checksums-Sha256:/,/^Files:/s/^ //p' "$new/download/$dsc" >"$new/files"
    while read -r sum _ file; do
        fetch_file "$file" "$sum" || mirror_failed
    done <"$new/files"
}

# Unpacks Debian's source with its patches into $new/source.
get_source() {
    mirror=$("$scripts/debian-mirror.sh")
    mkdir "$new/download"
    say "fetching Debian's source of QEMU (40 MB)"
    if ! fetch_newest; then
        say "the mirror does not have the source of $SUITE that it lists: taking $OTHER_VERSION"
        rm -rf "$new/download"
        mkdir "$new/download"
        fetch_other
    fi
    dpkg-source --no-check -x "$new"/download/qemu_*.dsc "$new/source" >>"$log" 2>&1 || die "cannot unpack it (see $log)"
    rm -rf "$new/download" "$new/apt"
    source=$new/source
}

is_at_least() { # VERSION OTHER
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# QEMU wants a newer Meson than this Debian may have; as a module of Python any will do.
get_meson() {
    ! is_at_least "$(meson --version)" "$MESON_NEEDED" || return 0
    "$scripts/unpack-debian.sh" "$SUITE" "$new/meson" "$dir/meson.log" meson
    mkdir "$new/python"
    mv "$new"/meson/usr/lib/python3/dist-packages/meson* "$new/python"
    rm -rf "$new/meson"
    export PYTHONPATH="$new/python"
}

# Our own pkg-config file, with the places of a build folder.
describe_library() {
    mkdir "$new/pkgconfig"
    sed -e "s|^includedir=.*|includedir=$(cd "$scripts/.." && pwd)/include|" -e "s|^libdir=.*|libdir=$library|" \
        "$package" >"$new/pkgconfig/rutabaga_gfx_ffi.pc"
    export PKG_CONFIG_PATH="$new/pkgconfig"
}

# Every tenth of the way is a line.
show_progress() {
    awk '{ print >>log_file; fflush(log_file) }
        match($0, /^\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, 2, RLENGTH - 2), at, "/")
            tenth = int(at[1] * 10 / at[2])
            if (tenth > told) {
                told = tenth
                print "qemu-with-rutabaga: " tenth * 10 " % of " at[2] " steps" >"/dev/stderr"
            }
        }' log_file="$log"
}

compile() {
    mkdir "$new/qemu"
    (cd "$new/qemu" && "$source/configure" --target-list=x86_64-softmmu --without-default-features --disable-download \
        --disable-docs --disable-install-blobs --disable-debug-info --python=/usr/bin/python3 --enable-tcg --enable-kvm \
        --enable-pixman --enable-png --enable-slirp --enable-rutabaga-gfx "$@" >>"$log" 2>&1) || {
        tail -n 5 "$log" >&2
        die "QEMU's configure fails (see $log)"
    }
    say "building QEMU $(cat "$source/VERSION"), which takes a quarter of an hour or more"
    { nice ninja -C "$new/qemu" -j2 qemu-system-x86_64 2>&1 || : >"$new/failed"; } | show_progress
    if [ -e "$new/failed" ]; then
        grep -A 20 '^FAILED' "$log" >&2 || tail -n 20 "$log" >&2
        die "QEMU's build fails (see $log)"
    fi
}

[ -n "$source" ] || get_source
source=$(cd "$source" && pwd)
get_meson
describe_library
compile "$@"
mv "$new/qemu/qemu-system-x86_64" "$dir/qemu-system-x86_64"
write_run
"$run" -device virtio-gpu-rutabaga-pci,help >>"$log" 2>&1 || die "the QEMU that was built has no virtio-gpu-rutabaga-pci (see $log)"
echo "$configuration" >"$dir/configuration"
say "$("$run" --version | head -n 1)"
echo "$run"
