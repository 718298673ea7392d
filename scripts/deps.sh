#!/bin/sh
# Installs what is missing of the Debian packages that this project needs, through apt, as root or with sudo. Says nothing
# when nothing is missing.
# shellcheck disable=SC2086 # lists of packages
set -eu

usage() {
    cat <<END
usage: scripts/deps.sh [--check] [GROUP...]
  --check  only print the missing packages, one per line; status 1 if there are any
  GROUP    build, check, vm, fuzz, vulkan, wayland (default: all of these), or qemu-build
END
}

# What each group is for stands in CONTRIBUTING.md. Names with | are alternatives: the first that apt offers is taken.
packages_of() {
    case $1 in
    build)
        echo build-essential meson ninja-build pkg-config
        echo libpixman-1-dev libpng-dev libdrm-dev libseccomp-dev systemtap-sdt-dev
        echo libvulkan-dev glslang-tools python3 libwayland-dev wayland-protocols
        ;;
    check) echo libcmocka-dev edid-decode python3 universal-ctags clang-format shellcheck qemu-system-gui mesa-vulkan-drivers weston wayland-utils xvfb pipewire pipewire-bin ;;
    vm)
        echo qemu-system-x86 qemu-system-gui qemu-utils mmdebstrap busybox-static cpio kmod python3 xz-utils zstd
        echo e2fsprogs procps weston wayland-utils libegl-dev libgles-dev
        ;;
    vulkan) echo libvulkan-dev glslang-tools libwayland-dev wayland-protocols mmdebstrap python3 ;;
    wayland)
        echo libwayland-dev wayland-protocols libxkbcommon-dev python3
        echo weston sway grim wayland-utils wl-clipboard foot gtk-4-examples fonts-dejavu-core
        echo xwayland x11-apps x11-utils
        echo qt6-wayland qml-qt6 qml6-module-qtquick qml6-module-qtquick-window qml6-module-qtqml-workerscript
        ;;
    # QEMU itself, and the firmware that its source package does not have.
    qemu-build)
        echo build-essential ninja-build meson pkg-config python3 python3-venv python3-distlib dpkg-dev mmdebstrap
        echo libglib2.0-dev zlib1g-dev libpixman-1-dev libpng-dev libslirp-dev
        echo qemu-system-data seabios ipxe-qemu
        ;;
    # The runtime's package carries clang's version in its name, which differs from one Debian to the next.
    fuzz) echo clang "libclang-rt-dev|$(clang_runtime)" ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

# Prints the runtime package that belongs to the release's own clang.
clang_runtime() {
    version=$(apt-cache depends --important clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    echo "libclang-rt-${version:-0}-dev"
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_offered() {
    apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# Prints the missing packages of the named groups, one per line.
missing() {
    for group; do
        for name in $(packages_of "$group"); do
            choose "$name"
        done
    done | sort -u
}

# Prints nothing if one of the alternatives in $1 is there, else the one to install.
choose() {
    offered=
    for one in $(echo "$1" | tr '|' ' '); do
        ! is_installed "$one" || return 0
        [ -n "$offered" ] || ! is_offered "$one" || offered=$one
    done
    echo "${offered:-${1##*|}}"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "deps: these packages need root: run as root, or install sudo, or install them by hand:" $wanted >&2
        exit 1
    fi
}

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
elif [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
[ $# -gt 0 ] || set -- build check vm fuzz vulkan wayland
for group; do
    packages_of "$group" >/dev/null
done

wanted=$(missing "$@")
if [ -n "$check" ]; then
    [ -z "$wanted" ] || echo "$wanted"
    [ -z "$wanted" ]
    exit
fi
[ -n "$wanted" ] || exit 0

echo "deps: fetching apt's package lists" >&2
as_root apt-get update -q >/dev/null || echo "deps: apt-get update failed, going on with the lists that are there" >&2
# Now that the lists are there, names that depend on the release are known.
wanted=$(missing "$@")
echo "deps: installing" $wanted >&2
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $wanted >&2
