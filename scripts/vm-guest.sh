#!/bin/sh
# Makes what `neep vm` boots: DIR/disk (an ext4 file system), DIR/vmlinuz and DIR/initrd.img, from Debian's packages or from a
# folder. Nothing is installed on this machine. Everything in DIR is replaced, at the end and at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

usage() {
    cat <<END
usage: vm-guest.sh --dir DIR [--rootfs ROOT] [--program FILE]... [--include PACKAGE,...] [--size SIZE]
  --dir DIR          where the guest goes
  --rootfs ROOT      take this folder, which has a kernel in /boot, in place of packages
  --program FILE     also put this program into the guest's /usr/local/bin
  --include PACKAGE  more packages
  --size SIZE        of the disk, as far as it is used (default 8G)
END
}

die() {
    echo "vm-guest: $*" >&2
    exit 1
}

dir=
rootfs=
programs=
include=
size=8G
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=${2?$1 needs a value} && shift ;;
    --rootfs) rootfs=${2?$1 needs a value} && shift ;;
    --program) programs="$programs ${2?$1 needs a value}" && shift ;;
    --include) include=$include,${2?$1 needs a value} && shift ;;
    --size) size=${2?$1 needs a value} && shift ;;
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
[ -n "$dir" ] || {
    usage >&2
    exit 2
}
command -v mke2fs >/dev/null || die "mke2fs is missing: install e2fsprogs"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
new=$(mktemp -d "$dir/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
export new size

# Ends as the disk, the kernel and the initrd in $new; ROOT is read only. Also run by mmdebstrap, where ROOT has the owners
# that the guest will see.
cat >"$new/pack" <<'END'
#!/bin/sh
set -eu
root=$1
newest() { # PREFIX
    find "$root/boot" -maxdepth 1 -name "$1-*" -printf '%f\n' | sort -V | tail -n 1
}
kernel=$(newest vmlinuz)
initrd=$(newest initrd.img)
[ -n "$kernel" ] && [ -n "$initrd" ] || {
    echo "vm-guest: there is no kernel with its initrd in $root/boot: install linux-image-amd64 and initramfs-tools there" >&2
    exit 1
}
cp "$root/boot/$kernel" "$new/vmlinuz"
cp "$root/boot/$initrd" "$new/initrd.img"
chmod 644 "$new/vmlinuz" "$new/initrd.img"
echo "vm-guest: writing the disk" >&2
# Without what is mounted in it at this moment (/proc, /sys, /dev).
mkdir "$new/root"
if [ "$(id -u)" = 0 ]; then
    unshare --mount sh -c 'mount --bind "$1" "$new/root" && mke2fs -q -t ext4 -L neep -d "$new/root" "$new/disk" "$size"' - "$root"
else
    mke2fs -q -t ext4 -L neep -d "$root" "$new/disk" "$size"
fi
END
chmod 755 "$new" "$new/pack"

# Everything is of backports where that has it, but for OpenGL: zink of Mesa 26.1 wants the Vulkan feature nullDescriptor,
# whose extension Mesa's gfxstream driver does not pass on. Also for what is installed in the guest later.
cat >"$new/pin" <<END
Package: src:mesa
Pin: release n=trixie
Pin-Priority: 995

Package: mesa-vulkan-drivers
Pin: release n=trixie-backports
Pin-Priority: 996
END

# What turns packages into a guest: no questions, a root shell on the console, network by DHCP.
cat >"$new/setup" <<'END'
#!/bin/sh
set -eu
root=$1
shift
echo neep >"$root/etc/hostname"
echo '127.0.0.1 localhost neep' >"$root/etc/hosts"
echo '/dev/vda / ext4 rw,relatime,discard 0 1' >"$root/etc/fstab"
chroot "$root" passwd -q -d root
mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d" "$root/etc/systemd/network"
cat >"$root/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - $TERM
UNIT
cat >"$root/etc/systemd/network/80-dhcp.network" <<'UNIT'
[Match]
Name=en* eth*
[Network]
DHCP=yes
UNIT
chroot "$root" systemctl -q enable systemd-networkd.service
chroot "$root" systemctl -q mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer fstrim.timer
cat >"$root/etc/profile.d/neep.sh" <<'PROFILE'
# Windows of this guest are windows of the host: neep-wayland -- PROGRAM, or all of a shell: neep-wayland -- bash
export XDG_RUNTIME_DIR=/run/user/$(id -u)
[ -d "$XDG_RUNTIME_DIR" ] || { mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"; }
PROFILE
for program; do
    cp "$program" "$root/usr/local/bin/"
done
END
chmod 755 "$new/setup"

# The initrd brings what the disk needs and no more: it is unpacked at every start.
cat >"$new/early" <<'END'
#!/bin/sh
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo 'MODULES=list' >"$1/etc/initramfs-tools/conf.d/neep"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
END
chmod 755 "$new/early"

build() {
    command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: install it, or give --rootfs"
    mirror=$("$here/debian-mirror.sh")
    packages=linux-image-amd64,initramfs-tools,zstd,systemd-sysv,systemd-resolved,udev,dbus,libpam-systemd,kmod,iproute2,procps,less
    packages=$packages,mesa-vulkan-drivers,libgl1-mesa-dri,libegl1,libgles2,mesa-utils-bin,vulkan-tools
    packages=$packages,weston,wayland-utils,foot,fonts-dejavu-core$include
    echo "vm-guest: making a Debian guest from packages: some minutes, once" >&2
    mmdebstrap --variant=minbase --format=null --architectures=amd64 --include="$packages" \
        --aptopt='APT::Default-Release "trixie-backports"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --setup-hook="install -D -m 644 $new/pin \"\$1/etc/apt/preferences.d/neep\"" \
        --essential-hook="$new/early \"\$1\"" --customize-hook="$new/setup \"\$1\" $programs" --customize-hook="$new/pack \"\$1\"" \
        trixie - "deb $mirror trixie main" "deb $mirror trixie-backports main" >/dev/null
}

if [ -n "$rootfs" ]; then
    [ -d "$rootfs" ] || die "--rootfs: $rootfs is no folder"
    [ -z "$programs$include" ] || echo "vm-guest: programs and packages are not put into a --rootfs" >&2
    [ "$(id -u)" = 0 ] || echo "vm-guest: files of others in $rootfs may be missing: run as root for a true copy" >&2
    "$new/pack" "$rootfs"
else
    build
fi
rm -f "$dir/made"
mv "$new/disk" "$new/vmlinuz" "$new/initrd.img" "$dir/"
date >"$dir/made"
echo "vm-guest: done: $(du -sh "$dir/disk" | cut -f 1) in $dir" >&2
