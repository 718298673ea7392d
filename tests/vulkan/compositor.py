#!/usr/bin/env python3
"""A compositor without a screen shows the window of a Vulkan program, and its screenshot is compared; prints TAP.

To be run inside of what is tested (neep run): the compositor (sway or weston) and the client then share its device.
"""
import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib

WIDTH, HEIGHT = 500, 380
LEFT, TOP = 58, 62
PATIENCE = 90  # seconds


class Failure(Exception):
    pass


def await_file(pattern, folder, program):
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        found = [name for name in os.listdir(folder) if re.fullmatch(pattern, name)]
        if found:
            return found[0]
        if program is not None and program.poll() is not None:
            raise Failure(f'{program.args[0]} ended with status {program.returncode}')
        time.sleep(0.05)
    raise Failure(f'no {pattern} within {PATIENCE} s')


def png_rows(data):
    """Rows of red, green and blue bytes of a PNG file without an alpha channel. PNG specification, "Filtering"."""
    width, height, *kind = struct.unpack_from('>IIBBBBB', data, 16)
    if kind != [8, 2, 0, 0, 0]:
        raise Failure(f'a PNG file of another kind: {kind}')
    packed, at = b'', 8
    while at < len(data):
        length, name = struct.unpack_from('>I4s', data, at)
        packed += data[at + 8:at + 8 + length] if name == b'IDAT' else b''
        at += length + 12
    raw, stride, before, rows = zlib.decompress(packed), width * 3, bytes(width * 3), []
    for y in range(height):
        start = y * (stride + 1)
        row = bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride):
            left, corner = (row[i - 3], before[i - 3]) if i >= 3 else (0, 0)
            row[i] = (row[i] + predicted(raw[start], left, before[i], corner)) & 0xff
        rows.append(bytes(row))
        before = row
    return width, height, b''.join(rows)


def predicted(kind, left, above, corner):
    if kind == 4:
        guess = left + above - corner
        return min((left, above, corner), key=lambda value: abs(guess - value))
    return (0, left, above, (left + above) // 2)[kind]


class Sway:
    BACKGROUND = (0x20, 0x60, 0xa0)
    CONFIG = f"""
xwayland disable
output HEADLESS-1 mode {WIDTH}x{HEIGHT}@60Hz
output HEADLESS-1 bg #{''.join(f'{value:02x}' for value in BACKGROUND)} solid_color
default_floating_border none
for_window [app_id="neep-test"] floating enable, move absolute position {LEFT} {TOP}
seat seat0 hide_cursor 1
"""

    @staticmethod
    def command(renderer, folder):
        config = os.path.join(folder, 'config')
        with open(config, 'w') as file:
            file.write(Sway.CONFIG)
        os.environ.update(WLR_BACKENDS='headless', WLR_RENDERER=renderer, WLR_LIBINPUT_NO_DEVICES='1')
        return ['sway', '--debug', '--config', config]

    @staticmethod
    def screenshot(folder):
        path = os.path.join(folder, 'screen.ppm')
        subprocess.run(['grim', '-t', 'ppm', path], check=True, timeout=PATIENCE)
        with open(path, 'rb') as file:
            header, pixels = re.fullmatch(rb'P6\s+(\d+\s+\d+)\s+255\s(.*)', file.read(), re.DOTALL).groups()
        return *map(int, header.split()), pixels


class Weston:
    """Its kiosk shell puts a window that does not fill the screen into the middle."""
    BACKGROUND = (0, 0, 0)

    @staticmethod
    def command(renderer, folder):
        kind = {'gles2': 'gl'}.get(renderer, renderer)
        return ['weston', '--backend=headless', f'--renderer={kind}', f'--width={WIDTH}', f'--height={HEIGHT}',
                '--shell=kiosk', '--socket=wayland-9', '--no-config', '--idle-time=0', '--debug']

    @staticmethod
    def screenshot(folder):
        for name in os.listdir(folder):
            if name.startswith('wayland-screenshot'):
                os.remove(os.path.join(folder, name))
        subprocess.run(['weston-screenshooter'], cwd=folder, check=True, timeout=PATIENCE)
        with open(os.path.join(folder, await_file(r'wayland-screenshot.*\.png', folder, None)), 'rb') as file:
            return png_rows(file.read())


COMPOSITORS = {'sway': Sway, 'weston': Weston}


def expected(folder, background):
    """Rows of red, green and blue: the background, and the client's own picture in its place."""
    with open(os.path.join(folder, 'results.txt')) as file:
        width, height = map(int, file.read().split())
    with open(os.path.join(folder, 'window.bin'), 'rb') as file:
        pixels = file.read()
    colors = bytes(value for place, value in enumerate(pixels) if place % 4 != 3)
    rows = []
    for y in range(HEIGHT):
        row = bytearray(bytes(background) * WIDTH)
        if TOP <= y < TOP + height:
            start = (y - TOP) * width * 3
            row[LEFT * 3:(LEFT + width) * 3] = colors[start:start + width * 3]
        rows.append(bytes(row))
    return b''.join(rows)


def wrong_pixels(one, other):
    return sum(one[i:i + 3] != other[i:i + 3] for i in range(0, len(one), 3))


def compare(kind, folder, keep):
    """The compositor may need a moment to show the last picture."""
    want = expected(folder, kind.BACKGROUND)
    limit = time.monotonic() + PATIENCE
    while True:
        width, height, seen = kind.screenshot(keep)
        if (width, height) != (WIDTH, HEIGHT):
            raise Failure(f'the screen is {width} x {height}')
        wrong = wrong_pixels(seen, want)
        if wrong == 0 or time.monotonic() > limit:
            return wrong
        time.sleep(0.2)


def proxy(args, runtime):
    """What passes on the client's messages, dma-bufs and all, where that is tested."""
    if args.proxy is None:
        return []
    return [args.proxy, '--host-socket', os.path.join(runtime, os.environ['WAYLAND_DISPLAY']), '--']


def show(args, folder):
    """Yields (name, is fine, note) for each thing that is seen."""
    kind = COMPOSITORS[args.compositor]
    runtime = os.path.join(folder, 'runtime')
    os.mkdir(runtime, 0o700)
    os.environ.update(XDG_RUNTIME_DIR=runtime, MESA_LOADER_DRIVER_OVERRIDE='zink')
    with open(os.path.join(args.keep, f'{args.compositor}.log'), 'w') as log:
        compositor = subprocess.Popen(kind.command(args.renderer, folder), stdout=log, stderr=log)
    client = None
    try:
        os.environ['WAYLAND_DISPLAY'] = await_file(r'wayland-\d+', runtime, compositor)
        yield 'compositor_starts', True, f'{args.compositor}, {args.renderer}'
        client_log = os.path.join(args.keep, 'client.log')
        with open(client_log, 'w') as log:
            client = subprocess.Popen([*proxy(args, runtime), args.client, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                      env={**os.environ, 'WAYLAND_DEBUG': '1'})
        if client.stdout.readline() != b'shown\n':
            raise Failure(f'the client ended with status {client.wait(PATIENCE)}, see {client_log}')
        yield 'client_presents_its_pictures', True, ''
        wrong = compare(kind, folder, args.keep)
        yield 'compositor_shows_what_the_client_drew', wrong == 0, f'{wrong} pixels differ'
        if args.dma_buf:
            with open(client_log) as log:
                yield 'buffers_are_dma_bufs', 'zwp_linux_buffer_params' in log.read(), ''
        client.stdin.close()
        yield 'client_ends_well', client.wait(PATIENCE) == 0, f'status {client.returncode}'
        compositor.terminate()
        yield 'compositor_ends_well', compositor.wait(PATIENCE) == 0, f'status {compositor.returncode}'
    finally:
        for program in (client, compositor):
            if program is not None and program.poll() is None:
                program.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--client', required=True, help='the program wayland-client')
    parser.add_argument('--compositor', default='sway', choices=COMPOSITORS)
    parser.add_argument('--renderer', default='gles2', choices=('gles2', 'pixman', 'vulkan'), help="the compositor's")
    parser.add_argument('--dma-buf', action='store_true', help='the window must consist of dma-bufs')
    parser.add_argument('--proxy', help='the program neep-wayland, if it is to stand between the two')
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
