#!/bin/sh
# Runs the Vulkan programs of tests/vulkan/ and `neep bench vulkan` on a machine with a GPU, natively and through neep, and
# prints what differs and the table. That machine needs its Vulkan driver and nothing else: no packages, no network, no
# /dev/dri, no root. What it lacks is carried there: our build, Debian's guest driver, the Vulkan loader, libraries.
#
# The machine's C library has to be as new as the one of the Debian that this runs on (Debian 12: 2.36).
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<END
usage: scripts/gpu-check.sh [--build DIR] --pack FOLDER
       scripts/gpu-check.sh [--build DIR] [--ssh HOST] [-- ARGUMENT...]
  --pack FOLDER   only put together what is carried; then FOLDER/check [ARGUMENT...] is the check
  --ssh HOST      run it there (default: on this machine)
  --build DIR     a build folder of its own, an optimised build (default: build-gpu)
  ARGUMENT        for the check: programs or bench (default: both), options for neep bench vulkan
END
}

die() {
    echo "gpu-check: $*" >&2
    exit 1
}

build="build-gpu"
pack=
host=
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2?$1 needs a value} && shift ;;
    --pack) pack=${2?$1 needs a value} && shift ;;
    --ssh) host=${2?$1 needs a value} && shift ;;
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
    shift
done

lib=usr/lib/x86_64-linux-gnu

# The Mesa with the guest driver that this Debian offers, for this machine's C library.
guest_suite() {
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $release in
    bookworm) echo bookworm-backports ;;
    trixie) echo trixie ;;
    *) die "of Debian ${release:-unknown} no guest driver is known" ;;
    esac
}

unpack_guest() { # -> the folder
    suite=$(guest_suite)
    tree=build/gpu-guest/$suite
    if [ ! -d "$tree" ]; then
        mkdir -p build/gpu-guest
        rm -rf "$tree.new"
        echo "gpu-check: unpacking the Mesa of $suite (about 400 MB)" >&2
        scripts/unpack-debian.sh "$suite" "$tree.new" "$tree.log" mesa-vulkan-drivers libvulkan1 libpixman-1-0 \
            libpng16-16 libseccomp2 libdrm2
        mv "$tree.new" "$tree"
    fi
    echo "$tree"
}

# Copies the libraries that the files in $2... need from the tree into the folder. Those of the C library, of which there can
# be only one, and of the C++ library, which the machine's own driver may want newer, are the machine's.
copy_libraries() { # TREE FOLDER FILE...
    tree=$1
    folder=$2
    shift 2
    for file; do
        for name in $(objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }'); do
            case $name in
            libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | ld-linux* | libstdc++.so.* | libgcc_s.so.*) continue ;;
            esac
            [ ! -e "$folder/$name" ] || continue
            for from in "$tree/$lib" "$tree/lib/x86_64-linux-gnu"; do
                [ ! -e "$from/$name" ] || cp -L "$from/$name" "$folder/$name"
            done
            [ -e "$folder/$name" ] || die "the library $name of $file is missing in $tree"
            (copy_libraries "$tree" "$folder" "$folder/$name")
        done
    done
}

# Programs, and what else they look for, where they lie in the build folder: there each finds the others.
copy_build() { # FOLDER
    (cd "$build/src" && find . \( -name '*.p' -o -path ./virtgpu/tree \) -prune -o -type f -perm -u+x -print) |
        while read -r file; do
            mkdir -p "$1/${file%/*}"
            strip -o "$1/$file" "$build/src/$file"
        done
    # Folders and links without which it would not look like a node.
    cp -a "$build/src/virtgpu/tree" "$1/virtgpu/"
    mkdir -p "$1/../guest/layer"
    cp "$build"/guest/layer/*.json "$build"/guest/layer/*.so "$1/../guest/layer/"
}

# The guest driver, in a folder for XDG_DATA_DIRS.
copy_guest() { # TREE FOLDER
    icds=$2/vulkan/icd.d
    mkdir -p "$icds"
    cp "$1/$lib/libvulkan_gfxstream.so" "$icds/"
    sed 's,"library_path": *"[^"]*","library_path": "./libvulkan_gfxstream.so",' \
        "$1"/usr/share/vulkan/icd.d/gfxstream_vk_icd*.json >"$icds/gfxstream_vk_icd.json"
}

# NEW/neep is our build, NEW/vulkan the test programs, NEW/guest the guest driver and its layer, NEW/lib what they all need.
make_bundle() { # NEW
    new=$1
    CI='' scripts/build.sh "$build" --buildtype=release >"$build.log" 2>&1 || {
        tail -n 20 "$build.log" >&2
        die "the build failed (see $build.log)"
    }
    tree=$(unpack_guest)
    mkdir -p "$new/neep" "$new/vulkan" "$new/lib"
    copy_build "$new/neep"
    for program in "$build"/tests/vulkan/vk-*; do
        [ ! -f "$program" ] || strip -o "$new/vulkan/${program##*/}" "$program"
    done
    cp tests/vulkan/not-offered "$new/vulkan/"
    copy_guest "$tree" "$new/guest"
    # shellcheck disable=SC2046
    copy_libraries "$tree" "$new/lib" "$new/guest/vulkan/icd.d/libvulkan_gfxstream.so" \
        $(find "$new/neep" "$new/vulkan" -type f -perm -u+x)
    cp scripts/gpu-check-run.sh "$new/check"
}

if [ -n "$pack" ]; then
    [ ! -e "$pack" ] || [ -f "$pack/check" ] || die "$pack is there already and no bundle of ours"
    rm -rf "$pack"
    make_bundle "$pack"
    du -sh "$pack"
    exit 0
fi

bundle=$(mktemp -d)
trap 'rm -rf "$bundle"' EXIT
trap 'exit 1' HUP INT TERM
make_bundle "$bundle/gpu-check"
if [ -z "$host" ]; then
    "$bundle/gpu-check/check" "$@"
else
    # The remote shell joins words with spaces: the arguments are plain words.
    # shellcheck disable=SC2029
    tar -C "$bundle" -cz gpu-check | ssh "$host" \
        "folder=\$(mktemp -d) && tar -C \$folder -xz && \$folder/gpu-check/check $*; status=\$?; rm -rf \$folder; exit \$status"
fi
