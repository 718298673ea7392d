#!/bin/sh
# A guest of `neep vm` as a host itself: a Vulkan window of `neep run` on a weston that draws by OpenGL, on the CPU. Writes
# FOLDER/screen.png, and says how often the compositor imported a dma-buf, and refused to, and how many that are made of memory
# files it holds, beside its own, while the window is there.
# usage: as-host.sh FOLDER imports|refuses
#   imports  weston has no DRM device: then Mesa imports what can be mapped
#   refuses  it has the guest's, whose driver imports none of these
set -eu
here=$(cd "$(dirname "$0")" && pwd)
way=$2
mkdir -p "$1"
cd "$1"
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR WAYLAND_DISPLAY=as-host LIBGL_ALWAYS_SOFTWARE=1
patience=240
weston=
program=
trap 'kill $program $weston 2>/dev/null || :; wait; rm -rf "$XDG_RUNTIME_DIR"' EXIT

fail() {
    echo "as-host: $1" >&2
    tail -n 20 weston.log program.log >&2
    exit 1
}

await() { # WHAT COMMAND...
    what=$1
    shift
    left=$((patience * 5))
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "$what"
        sleep 0.2
    done
}

count_udmabufs() {
    cat "/proc/$weston/fdinfo/"* 2>/dev/null | grep -c '^exp_name:.udmabuf$' || :
}

has_frames() { # COUNT: of the window, which is the one xdg_surface
    awk -v wanted="$1" '
        match($0, /get_xdg_surface.*wl_surface#[0-9]+/) {
            surface = substr($0, RSTART, RLENGTH)
            sub(/.*wl_surface/, "wl_surface", surface)
        }
        surface != "" && index($0, surface ".attach(wl_buffer") { frames++ }
        END { exit frames < wanted }' weston.log
}

# Its background is plain, so that the window can be told from it.
printf '[core]\nshell=desktop-shell.so\n[shell]\npanel-position=none\nbackground-color=0xff204060\n' >weston.ini
hide=:
[ "$way" = refuses ] || hide='mount -t tmpfs none /dev/dri'
WAYLAND_DEBUG=server unshare --mount sh -c "$hide && exec \"\$@\"" sh \
    weston --backend=headless --renderer=gl --idle-time=0 --config="$PWD/weston.ini" --debug --socket=$WAYLAND_DISPLAY \
    >weston.log 2>&1 &
weston=$!
await "weston does not start" test -S "$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY"
await "weston does not draw by OpenGL" grep -q "Using GL renderer" weston.log
await "weston has no background" grep -q 'weston_desktop_shell#.*desktop_ready' weston.log
before=$(count_udmabufs)

# The program ends with its input, which is held open here.
mkfifo "$XDG_RUNTIME_DIR/words"
exec 3<>"$XDG_RUNTIME_DIR/words"
"$here/host/src/cli/neep" run --wayland -- "$here/wayland-client" <&3 >shown 2>program.log &
program=$!
await "the program shows nothing" grep -qs shown shown
# The last frame may be on its way still.
await "the compositor does not get all frames" has_frames 20
timeout $patience weston-screenshooter || fail "no screenshot"
mv wayland-screenshot-*.png screen.png
echo "imported=$(grep -c 'zwp_linux_buffer_params_v1.*created' weston.log)" \
    "refused=$(grep -c 'zwp_linux_buffer_params_v1.*failed' weston.log) held=$(($(count_udmabufs) - before))"
