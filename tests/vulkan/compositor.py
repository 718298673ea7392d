#!/usr/bin/env python3
"""A compositor without a screen shows the window of a Vulkan program, and its screenshot is compared; prints TAP.

To be run inside of what is tested (neep run): the compositor (sway) and the client then share its device.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

WIDTH, HEIGHT = 500, 380
LEFT, TOP = 58, 62
BACKGROUND = (0x20, 0x60, 0xa0)
CONFIG = f"""
xwayland disable
output HEADLESS-1 mode {WIDTH}x{HEIGHT}@60Hz
output HEADLESS-1 bg #{''.join(f'{value:02x}' for value in BACKGROUND)} solid_color
default_floating_border none
for_window [app_id="neep-test"] floating enable, move absolute position {LEFT} {TOP}
seat seat0 hide_cursor 1
"""
PATIENCE = 30  # seconds


class Failure(Exception):
    pass


def await_file(pattern, folder, program):
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        found = [name for name in os.listdir(folder) if re.fullmatch(pattern, name)]
        if found:
            return found[0]
        if program.poll() is not None:
            raise Failure(f'{program.args[0]} ended with status {program.returncode}')
        time.sleep(0.05)
    raise Failure(f'no {pattern} within {PATIENCE} s')


def expected(folder):
    """Rows of red, green and blue: the background, and the client's own picture in its place."""
    with open(os.path.join(folder, 'results.txt')) as file:
        width, height = map(int, file.read().split())
    with open(os.path.join(folder, 'window.bin'), 'rb') as file:
        pixels = file.read()
    colors = bytes(value for place, value in enumerate(pixels) if place % 4 != 3)
    rows = []
    for y in range(HEIGHT):
        row = bytearray(bytes(BACKGROUND) * WIDTH)
        if TOP <= y < TOP + height:
            start = (y - TOP) * width * 3
            row[LEFT * 3:(LEFT + width) * 3] = colors[start:start + width * 3]
        rows.append(bytes(row))
    return b''.join(rows)


def screenshot(path):
    subprocess.run(['grim', '-t', 'ppm', path], check=True, timeout=PATIENCE)
    with open(path, 'rb') as file:
        header, pixels = re.fullmatch(rb'P6\s+(\d+\s+\d+)\s+255\s(.*)', file.read(), re.DOTALL).groups()
    if tuple(map(int, header.split())) != (WIDTH, HEIGHT):
        raise Failure(f'the screen is {header.decode()}')
    return pixels


def wrong_pixels(one, other):
    return sum(one[i:i + 3] != other[i:i + 3] for i in range(0, len(one), 3))


def compare(folder, keep):
    """The compositor may need a moment to show the last picture."""
    want = expected(folder)
    limit = time.monotonic() + PATIENCE
    while True:
        seen = screenshot(os.path.join(keep, 'screen.ppm'))
        wrong = wrong_pixels(seen, want)
        if wrong == 0 or time.monotonic() > limit:
            return wrong
        time.sleep(0.2)


def show(args, folder):
    """Yields (name, is fine, note) for each thing that is seen."""
    runtime = os.path.join(folder, 'runtime')
    os.mkdir(runtime, 0o700)
    config = os.path.join(folder, 'config')
    with open(config, 'w') as file:
        file.write(CONFIG)
    os.environ.update(XDG_RUNTIME_DIR=runtime, WLR_BACKENDS='headless', WLR_RENDERER=args.renderer,
                      WLR_LIBINPUT_NO_DEVICES='1', MESA_LOADER_DRIVER_OVERRIDE='zink')
    sway_log = os.path.join(args.keep, 'sway.log')
    with open(sway_log, 'w') as log:
        sway = subprocess.Popen(['sway', '--debug', '--config', config], stdout=log, stderr=log)
    client = None
    try:
        os.environ['WAYLAND_DISPLAY'] = await_file(r'wayland-\d+', runtime, sway)
        yield 'compositor_starts', True, args.renderer
        client_log = os.path.join(args.keep, 'client.log')
        with open(client_log, 'w') as log:
            client = subprocess.Popen([args.client, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                      env={**os.environ, 'WAYLAND_DEBUG': '1'})
        if client.stdout.readline() != b'shown\n':
            raise Failure(f'the client ended with status {client.wait(PATIENCE)}, see {client_log}')
        yield 'client_presents_its_pictures', True, ''
        wrong = compare(folder, args.keep)
        yield 'compositor_shows_what_the_client_drew', wrong == 0, f'{wrong} pixels differ'
        if args.dma_buf:
            with open(client_log) as log:
                yield 'buffers_are_dma_bufs', 'zwp_linux_buffer_params' in log.read(), ''
        client.stdin.close()
        yield 'client_ends_well', client.wait(PATIENCE) == 0, f'status {client.returncode}'
        sway.terminate()
        yield 'compositor_ends_well', sway.wait(PATIENCE) == 0, f'status {sway.returncode}'
    finally:
        for program in (client, sway):
            if program is not None and program.poll() is None:
                program.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--client', required=True, help='the program wayland-client')
    parser.add_argument('--renderer', default='gles2', choices=('gles2', 'pixman', 'vulkan'), help="the compositor's")
    parser.add_argument('--dma-buf', action='store_true', help='the window must consist of dma-bufs')
    parser.add_argument('--keep', required=True, help='a folder for logs and the screenshot')
    args = parser.parse_args()
    os.makedirs(args.keep, exist_ok=True)
    number, failed = 0, False
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, fine, note in show(args, folder):
                number += 1
                failed = failed or not fine
                print(f"{'ok' if fine else 'not ok'} {number} - {name}{f' ({note})' if note else ''}", flush=True)
        except (Failure, OSError, subprocess.SubprocessError) as error:
            number += 1
            failed = True
            print(f'not ok {number} - compositor\n# {error}')
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
