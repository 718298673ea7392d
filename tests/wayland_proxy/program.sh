#!/bin/sh
# neep-wayland as people start it, as TAP: exit statuses, signals, sockets, X11; and, with weston installed, real clients.
# Argument: the program.
# shellcheck disable=SC2012,SC2086,SC2317
set -u
neep=$1
number=0
status=0
work=$(mktemp -d)
XDG_RUNTIME_DIR=$work/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
unset WAYLAND_DISPLAY WAYLAND_SOCKET DISPLAY
weston_pid=
trap 'kill $weston_pid 2>/dev/null; rm -rf "$work"' EXIT

result() { # NAME FINDINGS
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        echo "$2" | sed 's/^/# /'
        status=1
    fi
}

expect() { # NAME WANTED GOT
    findings=
    [ "$2" = "$3" ] || findings="wanted: $2
got: $3"
    result "$1" "$findings"
}

await() { # COMMAND... true within a minute
    for _ in $(seq 1200); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.05
    done
    return 1
}

nowhere="--host-socket $work/nowhere"

# shellcheck disable=SC2086
status_of() {
    "$neep" $nowhere "$@" >/dev/null 2>&1
    echo $?
}
expect exit_status_is_that_of_the_program 7 "$(status_of -- sh -c 'exit 7')"
expect exit_status_is_128_and_the_signal 137 "$(status_of -- sh -c 'kill -KILL $$')"
expect exit_status_is_127_when_there_is_no_program 127 "$(status_of -- /no/such/program)"
expect exit_status_is_126_when_it_cannot_be_run 126 "$(status_of -- /etc/passwd)"
expect exit_status_is_2_for_a_wrong_option 2 "$(status_of --nonsense)"

# shellcheck disable=SC2016,SC2086
expect program_gets_the_display_and_no_socket 'wayland-1 none' \
    "$(WAYLAND_SOCKET=9 "$neep" $nowhere -- sh -c 'echo $WAYLAND_DISPLAY ${WAYLAND_SOCKET-none}')"
# shellcheck disable=SC2016,SC2086
expect program_gets_a_private_path_when_there_is_no_runtime_folder '700 socket' \
    "$(env -u XDG_RUNTIME_DIR "$neep" $nowhere -- sh -c 'stat -c %a "${WAYLAND_DISPLAY%/*}"; stat -c %F "$WAYLAND_DISPLAY"' | xargs)"
# shellcheck disable=SC2016,SC2086
expect signal_goes_on_to_the_program 'got it' \
    "$("$neep" $nowhere -- sh -c 'trap "kill \$!; echo got it; exit" USR1; sleep 60 & kill -USR1 $PPID; wait')"
expect proxy_is_not_its_own_host 1 "$("$neep" --host-socket "$XDG_RUNTIME_DIR/wayland-1" -- true 2>/dev/null; echo $?)"
# shellcheck disable=SC2086
"$neep" $nowhere --socket here >/dev/null 2>&1 &
pid=$!
await test -S "$XDG_RUNTIME_DIR/here"
expect second_proxy_refuses_the_same_socket 1 "$(status_of --socket here)"
kill $pid
wait $pid
expect service_ends_at_a_signal 0 $?
expect nothing_is_left_in_the_runtime_folder '' "$(ls "$XDG_RUNTIME_DIR")"

# X11, with something that only makes the socket in the place of Xwayland, and of the satellite.
mkdir "$work/bin"
# shellcheck disable=SC2086
expect x11_says_what_is_missing 1 "$(PATH=$work/bin "$neep" $nowhere --x11 -- true 2>&1 | /bin/grep -c 'install the package xwayland')"
TEST_NUMBER=$$
export TEST_NUMBER
cat >"$work/bin/Xwayland" <<'END'
#!/usr/bin/env python3
import os, signal, socket, sys
words = sys.argv[1:]
if words == ['-help']:
    sys.exit(print('use: X\n-geometry WxH          set the size', file=sys.stderr))
number = words[0][1:] if words[0].startswith(':') else os.environ['TEST_NUMBER']
os.makedirs('/tmp/.X11-unix', exist_ok=True)
path = f'/tmp/.X11-unix/X{number}'
signal.signal(signal.SIGTERM, lambda number, frame: (os.unlink(path), sys.exit(0)))
listening = socket.socket(socket.AF_UNIX)
listening.bind(path)
listening.listen(1)
print(f'words: {words[2:]}', file=sys.stderr, flush=True)
if words[0] == '-displayfd':
    os.write(int(words[1]), f'{number}\n'.encode())
signal.pause()
END
chmod +x "$work/bin/Xwayland"
x11() { # [WORD]
    # shellcheck disable=SC2016,SC2086
    PATH="$work/bin:$PATH" "$neep" $nowhere "${1:---x11}" -- sh -c 'test -S /tmp/.X11-unix/X${DISPLAY#:} && echo "$DISPLAY"' 2>"$work/err"
}
expect x11_without_the_satellite_is_one_window :$$ "$(x11)"
expect x11_says_that_it_is_one_window 1 "$(grep -c 'no xwayland-satellite is installed' "$work/err")"
x11 --x11=700x500 >/dev/null
expect x11_window_has_the_size_that_is_asked_for "words: ['-noreset', '-geometry', '700x500']" "$(grep words: "$work/err")"
expect x11_refuses_what_is_no_size 2 "$(status_of --x11=700 -- true)"
expect x11_of_one_window_ends_with_the_program '' "$(ls /tmp/.X11-unix/X$$ 2>/dev/null)"
# shellcheck disable=SC2016,SC2086
expect x11_socket_is_removed_behind_a_server_that_was_killed gone \
    "$(PATH="$work/bin:$PATH" "$neep" $nowhere --x11 -- sh -c 'kill -9 $(pgrep -P $PPID -f "[X]wayland -displayfd"); for _ in $(seq 600); do test -S /tmp/.X11-unix/X$TEST_NUMBER || break; sleep 0.05; done; test -S /tmp/.X11-unix/X$TEST_NUMBER || echo gone' 2>/dev/null)"
mkdir "$work/broken"
ln -s /bin/false "$work/broken/Xwayland"
# shellcheck disable=SC2086
expect x11_says_that_the_server_does_not_start 1 \
    "$(PATH="$work/broken:$PATH" "$neep" $nowhere --x11 -- true 2>&1 | grep -c 'Xwayland ended before it served a display')"
cp "$work/bin/Xwayland" "$work/bin/xwayland-satellite"
display=$(x11)
expect x11_of_the_satellite_gives_the_program_a_display "${display:-none}" ":${display#:}"
expect x11_of_the_satellite_says_nothing 0 "$(grep -c warn "$work/err")"
expect x11_of_the_satellite_ends_with_the_program '' "$(ls "/tmp/.X11-unix/X${display#:}" 2>/dev/null)"

if ! command -v weston >/dev/null || ! command -v wayland-info >/dev/null || ! command -v weston-simple-shm >/dev/null; then
    echo "# no weston or wayland-info: real clients are left out"
    echo "1..$number"
    exit $status
fi

host=$XDG_RUNTIME_DIR/host
# shellcheck disable=SC2086
expect client_is_told_when_there_is_no_compositor 1 "$("$neep" $nowhere -- wayland-info 2>&1 | grep -c 'error 3: no compositor answers')"

weston --backend=headless-backend.so --socket=host --idle-time=0 >"$work/weston.log" 2>&1 &
weston_pid=$!
await env WAYLAND_DISPLAY=host wayland-info

globals() {
    sed -n "s/^interface: '\([a-z0-9_]*\)'.*/\1/p" | sort
}
WAYLAND_DISPLAY=host wayland-info 2>/dev/null | globals >"$work/native"
"$neep" --host-socket "$host" -- wayland-info 2>/dev/null | globals >"$work/proxied"
"$neep" --help | sed -n 's/^  \([a-z0-9_]*\) [0-9]*$/\1/p' | sort >"$work/known"
# linux-dmabuf depends on the host's kind.
comm -12 "$work/native" "$work/known" | grep -v linux_dmabuf >"$work/wanted"
expect info_shows_the_known_globals_of_the_compositor "$(cat "$work/wanted")" "$(grep -v linux_dmabuf "$work/proxied")"
expect info_shows_outputs_as_they_are "$(WAYLAND_DISPLAY=host wayland-info -i wl_output 2>&1 | grep -v name:)" \
    "$("$neep" --host-socket "$host" -- wayland-info -i wl_output 2>&1 | grep -v name:)"

# Whether a client runs until it is ended: 124 is timeout's word for it.
for client in weston-simple-shm weston-simple-damage weston-flower; do
    command -v "$client" >/dev/null || continue
    expect "client_runs $client" 124 "$("$neep" --host-socket "$host" -- timeout 1 "$client" >/dev/null 2>&1; echo $?)"
    expect "client_runs_on_copies $client" 124 \
        "$("$neep" --copy-buffers --host-socket "$host" -- timeout 1 "$client" >/dev/null 2>&1; echo $?)"
done

"$neep" --host-socket "$host" --socket here >/dev/null 2>&1 &
pid=$!
await env WAYLAND_DISPLAY=here wayland-info
fds_of() { ls "/proc/$pid/fd" | wc -l; }
has_fds() { # COUNT OPERATOR-OF-TEST
    test "$(fds_of)" "$2" "$1"
}
# Should that client not be gone yet, this is more than need be left at the end.
sleep 0.5
idle=$(fds_of)
WAYLAND_DISPLAY=here weston-simple-shm >/dev/null 2>&1 &
other=$!
await has_fds "$idle" -gt
for _ in 1 2 3 4 5 6 7 8; do
    before=$(fds_of)
    WAYLAND_DISPLAY=here weston-simple-shm >/dev/null 2>&1 &
    victim=$!
    await has_fds "$before" -gt
    sleep 0.2
    kill -KILL $victim
    wait $victim 2>/dev/null
    # Else the next one takes its place unseen.
    await has_fds "$before" -le
done
expect others_go_on_when_a_client_is_killed alive "$(kill -0 $other && echo alive)"
kill -KILL $other
wait $other 2>/dev/null
await has_fds "$idle" -le
expect nothing_stays_open_when_clients_are_killed "$idle" "$(fds_of)"
WAYLAND_DISPLAY=here weston-simple-shm >/dev/null 2>&1 &
other=$!
await has_fds "$idle" -gt
kill -KILL $weston_pid
wait $weston_pid 2>/dev/null
weston_pid=
is_gone() { # no process, or one that nobody has waited for yet
    case $(cut -d ' ' -f 3 /proc/$other/stat 2>/dev/null) in '' | Z) ;; *) return 1 ;; esac
}
expect clients_end_with_the_compositor gone "$(await is_gone && echo gone)"
expect proxy_outlives_the_compositor alive "$(kill -0 $pid && echo alive)"
kill $pid
wait $pid
expect proxy_ends_well_after_all_that 0 $?

echo "1..$number"
exit $status
