#!/bin/sh
# Makes a folder with the Mesa of another Debian release beside this machine's own, and prints the path of a program that
# runs commands in it: RUN COMMAND... sees the tree's /usr, /etc and /var and everything else (the project, /tmp, /dev, /proc,
# /run, ...) as it is here. The user, the environment, the working folder, the process id and the exit status are kept.
#
# Exit status: 0 done, 1 failed, 2 usage, 3 the package mirror cannot be reached.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<END
usage: scripts/mesa-tree.sh [--dir DIR] [--with GROUP,...] SUITE
  SUITE           trixie (Mesa 25.0) or trixie-backports (Mesa 26.1)
  --dir DIR       the trees go to DIR/SUITE (default: \$NEEP_MESA_DIR or build/mesa)
  --with GROUP    more packages, in a tree of its own (DIR/SUITE-GROUP):
                    piglit      OpenGL tests
                    compositor  sway, weston, grim and clients for them
                    validation  the validation layer of Vulkan
                    venus       virgl_test_server, the host of Venus without a VM
END
}

die() {
    echo "mesa-tree: $*" >&2
    exit 1
}

packages_of() {
    case $1 in
    base)
        # Mesa's Vulkan drivers (lavapipe, the gfxstream guest driver), OpenGL with zink, and what shows that they work.
        echo mesa-vulkan-drivers libvulkan1 vulkan-tools mesa-utils-bin
        echo libegl1 libgles2 libgl1 libegl-mesa0 libgl1-mesa-dri libglx-mesa0 libgbm1 libdrm2
        # What our own programs need, built on this machine or an older one.
        echo libseccomp2 libpixman-1-0 libpng16-16t64 libcmocka0 libubsan1 libasan8 libtsan2
        # What a command line needs.
        echo bash dash coreutils util-linux mount grep sed procps python3
        ;;
    piglit) echo piglit ;;
    compositor) echo sway swaybg weston grim libgles2 ;;
    validation) echo vulkan-validationlayers ;;
    venus) echo virgl-server ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

dir=${NEEP_MESA_DIR:-build/mesa}
groups=
suite=
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=${2?$1 needs a value} && shift ;;
    --with) groups=${2?$1 needs a value} && shift ;;
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

packages=$(packages_of base)
name=$suite
for group in $(echo "$groups" | tr ',' ' '); do
    packages="$packages $(packages_of "$group")"
    name=$name-$group
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tree=$dir/$name
# A tree that was made for other packages or with another runner is made again.
content="$packages $(cksum <"$scripts/mesa-tree-run.sh")"
if [ -x "$tree/run" ] && [ "$(cat "$tree/content" 2>/dev/null)" = "$content" ]; then
    echo "$tree/run"
    exit 0
fi

new=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new"
echo "mesa-tree: unpacking Mesa of $suite into $tree (about 400 MB)" >&2
mkdir "$new/tree" "$new/tree/mount"
# shellcheck disable=SC2086
"$scripts/unpack-debian.sh" "$suite" "$new/tree/root" "$dir/$name.log" $packages
cp /etc/passwd /etc/group "$new/tree/root/etc"
cp "$scripts/mesa-tree-run.sh" "$new/tree/run"
echo "$content" >"$new/tree/content"
"$new/tree/run" true || die "commands cannot be run in the tree"
rm -rf "$tree"
mv "$new/tree" "$tree"
echo "$tree/run"
