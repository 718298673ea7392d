#!/bin/sh
# Makes the test guest from Debian packages: DIR/vmlinuz and DIR/initrd.cpio. Nothing is installed on this machine, and what
# is already in DIR is not fetched again.
set -eu

usage() {
    cat <<END
usage: scripts/guest-image.sh [--dir DIR] [--kernel-root ROOT] --draw PROGRAM [--blob PROGRAM] [--wayland PROGRAM]
  --dir DIR           where the guest and what is downloaded for it go (default: \$NEEP_VM_DIR or build/vm)
  --kernel-root ROOT  take kernel and modules from this unpacked Debian tree instead of the host's distribution
  --draw PROGRAM      the statically linked guest program (build/tests/vm/draw)
  --blob PROGRAM      another one, for back-ends with 3D (build/tests/vm/blob)
  --wayland PROGRAM   another one, for back-ends with cross-domain (build/tests/vm/wayland)
END
}

here=$(cd "$(dirname "$0")/.." && pwd)
dir=${NEEP_VM_DIR:-build/vm}
root=
draw=
blob=
wayland=
PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "guest-image: $*" >&2
    exit 1
}

say() {
    echo "guest-image: $*" >&2
}

while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=${2?$1 needs a value} && shift ;;
    --kernel-root) root=${2?$1 needs a value} && shift ;;
    --draw) draw=${2?$1 needs a value} && shift ;;
    --blob) blob=${2?$1 needs a value} && shift ;;
    --wayland) wayland=${2?$1 needs a value} && shift ;;
    --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
[ -x "$draw" ] || die "no guest program '$draw': build it first and name it with --draw"
for program in "$blob" "$wayland"; do
    [ -z "$program" ] || [ -x "$program" ] || die "no guest program '$program'"
done
for tool in busybox cpio depmod modprobe xz zstd; do
    command -v "$tool" >/dev/null || die "$tool is missing: run scripts/deps.sh"
done
[ "$(dpkg --print-architecture)" = amd64 ] || [ -n "$root" ] || die "the test guest is amd64: give --kernel-root"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Prints the package that linux-image-amd64 stands for at present.
kernel_package() {
    apt-cache depends --important linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

fetch_kernel() {
    package=$(kernel_package)
    if [ -z "$package" ]; then
        say "apt knows no kernel package, updating its lists"
        as_root apt-get update -q >&2
        package=$(kernel_package)
    fi
    [ -n "$package" ] || die "apt offers no linux-image-amd64: check the apt sources of this machine"
    say "downloading $package"
    download "$package" || {
        say "the lists of apt may be old, updating them"
        as_root apt-get update -q >&2
        package=$(kernel_package)
        download "$package" || die "cannot download $package"
    }
    say "unpacking $package"
    mkdir "$work/root"
    dpkg-deb -x "$work/$package"_*.deb "$work/root"
    root=$work/root
}

download() (
    cd "$work"
    if [ "$(id -u)" = 0 ]; then
        # Else apt warns that its own user cannot write here.
        set -- -o APT::Sandbox::User=root "$1"
    fi
    apt-get download -q "$@" >&2
)

# Copies the wanted modules, in load order and unpacked, from the kernel tree $root of version $1 to DIR/modules.
take_modules() {
    [ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
    depmod -b "$root" "$1"
    mkdir "$work/modules"
    for name in virtio_pci virtio_gpu; do
        modprobe -d "$root" -S "$1" --show-depends --ignore-install "$name"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/paths"
    while read -r path; do
        file=$(basename "$path")
        case $file in
        *.xz) xz -dc "$path" >"$work/modules/${file%.xz}" ;;
        *.zst) zstd -qdc "$path" >"$work/modules/${file%.zst}" ;;
        *) cp "$path" "$work/modules/" ;;
        esac
        file=${file%.xz}
        echo "${file%.zst}" >>"$work/modules/order"
    done <"$work/paths"
    grep -qx 'virtio-gpu.ko' "$work/modules/order" || die "kernel $1 has no virtio-gpu module"
}

# Prints the newest kernel version in $root.
kernel_version() {
    find "$root/lib/modules/" "$root/usr/lib/modules/" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -V | tail -n 1
}

take_kernel() {
    version=$(kernel_version)
    [ -n "$version" ] || die "no kernel modules in $root"
    # Newer packages keep the kernel beside its modules.
    for image in "$root/boot/vmlinuz-$version" "$root/usr/lib/modules/$version/vmlinuz"; do
        [ ! -e "$image" ] || break
    done
    [ -e "$image" ] || die "no kernel $version in $root"
    say "taking kernel $version"
    take_modules "$version"
    rm -rf "$dir/modules"
    mv "$work/modules" "$dir/modules"
    cp "$image" "$dir/vmlinuz"
    # Written last: it says that the rest is whole.
    echo "$version" >"$dir/kernel-version"
}

pack() {
    image=$work/initrd
    mkdir -p "$image/bin" "$image/dev" "$image/proc" "$image/sys" "$image/modules"
    cp "$(command -v busybox)" "$image/bin/busybox"
    for applet in cat dmesg grep head insmod ls mount poweroff reboot sed sh sleep stty tr; do
        ln -s busybox "$image/bin/$applet"
    done
    cp "$dir"/modules/* "$image/modules/"
    cp "$draw" "$image/bin/draw"
    [ -z "$blob" ] || cp "$blob" "$image/bin/blob"
    [ -z "$wayland" ] || cp "$wayland" "$image/bin/wayland"
    cp "$here/tests/vm/guest/init" "$image/init"
    chmod 755 "$image/init" "$image/bin/"*
    (cd "$image" && find . | sort | cpio --quiet -o -H newc -R 0:0) >"$work/initrd.cpio"
    mv "$work/initrd.cpio" "$dir/initrd.cpio"
}

if [ ! -e "$dir/kernel-version" ] || { [ -n "$root" ] && [ "$(cat "$dir/kernel-version")" != "$(kernel_version)" ]; }; then
    [ -n "$root" ] || fetch_kernel
    take_kernel
fi
pack
say "kernel $(cat "$dir/kernel-version"), $(wc -l <"$dir/modules/order") modules, in $dir"
