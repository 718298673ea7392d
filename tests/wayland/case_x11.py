"""X11 programs: Xwayland in one window, by --x11 of the wrapper, held against Xwayland as it is started by hand on the same
compositor. xwayland-satellite, which --x11 takes where it is, is no package of Debian's."""
import os
import re
import shutil
import signal
import subprocess

import picture
import processes
from case_crowd import MARK, PROXY
from case_pictures import DATA, await_empty, await_picture, await_rest, shoot
from seat import Seat
from tap import Failure, Skip

PATIENCE = 20  # seconds
SERVER = 'Xwayland'
SIZE = '700x500'
COLORS = {(255, 255, 0), (0, 255, 0), (0, 0, 255)}  # one of each window of data/x11-windows
KEYS = (30, 42, 48, 103)  # of Linux' input events: a, left shift, b, up


def server_words():
    """Those of neep-wayland, as far as this Xwayland knows them."""
    text = subprocess.run([SERVER, '-help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    return [*(['-geometry', SIZE] if '\n-geometry ' in text else []), *(['-decorate'] if '\n-decorate ' in text else [])]


def start(world, host, command, is_wrapped, env=()):
    """The program on an X server of its own; also the server, where it is a process of the case."""
    if is_wrapped:
        return world.start(host, command, wrapper=[*world.wrapper[:-1], f'--x11={SIZE}', '--'], env=env), None
    # It writes the number of its display to its standard output.
    server = world.start(host, [SERVER, '-displayfd', '1', '-noreset', *server_words()], wrapper=[], env=env)
    display = {'DISPLAY': f':{server.line()}'}
    return world.start(host, command, wrapper=[], env={**dict(env), **display}), server


def need(world, *programs):
    if world.wrapper[-1:] != ['--']:
        raise Skip('there is no --x11 without the wrapper')
    for program in (SERVER, *programs):
        if shutil.which(program) is None:
            raise Failure(f'{program} is missing: run scripts/deps.sh wayland')


def await_colors(world, host, name):
    """Until each of the windows has drawn something of its own."""
    if processes.await_true(lambda: COLORS <= picture.colors(shoot(world, host, name)), PATIENCE, 0.1) is None:
        raise Failure(f'not all windows are to be seen in {name}')


def pictures(world):
    need(world, 'xlogo', 'xcalc', 'xeyes')
    host, want = world.sway(), None
    for is_wrapped in (False, True):
        client, server = start(world, host, [os.path.join(DATA, 'x11-windows')], is_wrapped)
        if want is None:
            await_colors(world, host, 'x11-native')
            want = await_rest(world, host, 'x11-native')
        else:
            await_picture(world, host, want, 'x11-wrapped')
        client.kill()
        if server is not None:
            server.kill()
        await_empty(world, host, 'x11')


def ask(world, is_wrapped):
    host = world.sway()
    client, server = start(world, host, ['xdpyinfo'], is_wrapped)
    lines = []
    while not lines or lines[-1] is not None:
        lines.append(client.line())
    if client.wait() != 0:
        raise Failure(f'xdpyinfo ends with status {client.process.returncode}\n{client.said()}')
    if server is not None:
        server.kill()
    # Later ones than Debian 12's are resized by the compositor after a while; the pictures tell the size.
    varying = ('name of display:', 'focus:', '  dimensions:', '  largest cursor:')
    return [line for line in lines[:-1] if not line.startswith(varying)]


def information(world):
    need(world, 'xdpyinfo')
    native, through = ask(world, False), ask(world, True)
    if native != through:
        raise Failure('\n'.join(sorted(set(native) ^ set(through))))
    return next(line for line in native if line.startswith('X.Org version'))


def listen(world, is_wrapped):
    """What xev is told of keys, buttons and the pointer."""
    host = world.sway()
    seat = Seat(world, host)
    seat.tell('move 790 590')
    client, server = start(world, host, ['xev', '-geometry', '400x300+100+100'], is_wrapped)
    lines = []

    def until(pattern):
        while not lines or re.search(pattern, lines[-1]) is None:
            lines.append(client.line())
            if lines[-1] is None:
                raise Failure(f'xev ends without "{pattern}"\n{client.said()}')
    until('^MapNotify')
    until('^Expose')
    # Where its window lies, the compositor decides: the middle of the screen is within.
    seat.tell('move 300 250')
    until('^EnterNotify')
    seat.tell('button 1', 'button 0')
    until('^ButtonRelease')
    for key in KEYS:
        seat.tell(f'key {key} 1', f'key {key} 0')
        until('^KeyRelease')
        until('keysym')
    client.kill()
    if server is not None:
        server.kill()
    world.end_case()
    found = re.findall(r'^(\w+ event)|(state 0x\w+, (?:button \d|keycode \d+ \(.*?\)))', '\n'.join(lines), re.MULTILINE)
    # How many movements there are depends on the moment, and so do maps, exposures and the state of the keyboard.
    return [text for pair in found for text in pair if re.match('(Key[PR]|Button|state)', text)]


def keys(world):
    need(world, 'xev')
    native, through = listen(world, False), listen(world, True)
    if native != through:
        raise Failure(f'natively:\n{native}\nthrough the wrapper:\n{through}')
    return f'{len(native)} lines'


def start_marked(world):
    """A program with its X server through the wrapper: the client, the mark, {name: pid} and the X server's socket."""
    host = world.sway()
    world.count += 1
    mark = f'{os.getpid()}-{world.count}'
    client, _ = start(world, host, ['sh', '-c', 'echo $DISPLAY; exec xev'], True, env={MARK: mark})
    socket = f"/tmp/.X11-unix/X{client.line()[1:]}"
    while not client.line().startswith('Expose'):
        pass
    pids = {name: pid for pid, name in processes.marked(MARK, mark).items()}
    if SERVER not in pids or PROXY not in pids or not os.path.exists(socket):
        raise Failure(f'there are {pids} and {"a" if os.path.exists(socket) else "no"} {socket}')
    return client, mark, pids, socket


def killed(world, victim):
    """Everything must go with it, also the socket."""
    need(world, 'xev')
    client, mark, pids, socket = start_marked(world)
    os.kill(pids[victim], signal.SIGKILL)
    if processes.await_true(lambda: not processes.marked(MARK, mark), PATIENCE) is None:
        raise Failure(f'still there: {processes.marked(MARK, mark)}')
    if client.wait() == 0:
        raise Failure('the program ends as if nothing had happened')
    if os.path.exists(socket):
        raise Failure(f'{socket} is left')


def cases(world):
    del world
    yield 'picture_of_x11_programs_is_the_same', pictures
    yield 'information_of_the_x_server_is_the_same', information
    yield 'keys_of_an_x11_program_are_the_same', keys
    for victim in ('xev', SERVER, PROXY):
        yield f'kill_of_{victim}_ends_x11', killed, victim
