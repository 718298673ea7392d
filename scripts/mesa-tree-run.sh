#!/bin/sh
# RUN COMMAND...: runs COMMAND with the /usr, /etc and /var of the tree that this file lies in (scripts/mesa-tree.sh puts it
# there as "run"), and everything else of this machine at its own place.
#
# The new root is pivoted to, because a process that chroot(2) has locked up may not make user namespaces, which the sandbox
# of a renderer wants. No process stands between: each step execs the next, so signals and the process id are the command's.
set -eu

die() {
    echo "run: $*" >&2
    exit 125
}

# In the mount namespace: puts the new root together, moves to it and goes on with the tree's own programs.
enter() { # TREE COMMAND...
    tree=$1
    root=$1/mount
    shift
    here=$(pwd)
    mount -t tmpfs -o mode=755 tree "$root"
    mkdir "$root/.old"
    for path in "$tree"/root/*; do
        name=${path##*/}
        case $name in
        usr | etc | var)
            mkdir "$root/$name"
            mount --rbind "$path" "$root/$name"
            ;;
        *) [ ! -L "$path" ] || cp -P "$path" "$root/$name" ;;
        esac
    done
    for path in /*; do
        name=${path##*/}
        [ ! -e "$root/$name" ] && [ ! -L "$root/$name" ] || continue
        if [ -L "$path" ]; then
            cp -P "$path" "$root/$name"
        elif [ -d "$path" ]; then
            mkdir "$root/$name"
            mount --rbind "$path" "$root/$name"
        fi
    done
    cd "$root"
    pivot_root . .old
    cd "$here" 2>/dev/null || cd /
    umount -l /.old
    rmdir /.old
    exec "$@"
}

case ${1:-} in
'')
    echo "usage: $0 COMMAND..." >&2
    exit 125
    ;;
--enter)
    shift
    enter "$@"
    ;;
esac

tree=$(cd "$(dirname "$0")" && pwd)
uid=$(id -u)
gid=$(id -g)
# The namespace's root is needed for the mounts only: an ordinary user gets the own id back in a second namespace.
if [ "$uid" = 0 ]; then
    exec unshare --mount "$0" --enter "$tree" "$@"
fi
unshare --user --map-root-user --mount true 2>/dev/null ||
    die "this kernel lets no ordinary user make namespaces: run as root"
exec unshare --user --map-root-user --mount "$0" --enter "$tree" \
    unshare --user --map-user="$uid" --map-group="$gid" -- "$@"
