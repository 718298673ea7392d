"""Pictures: the compositor's screenshot with a client through the wrapper, and with the same client alone, pixel for pixel."""
import os
import shutil
import subprocess
import time

import picture
from processes import await_true
from tap import Failure

PATIENCE = 60  # seconds
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')


def shoot(world, host, name):
    path = os.path.join(world.keep, name + host.suffix)
    host.screenshot(path)
    return path


def await_picture(world, host, want, name):
    """Screenshots until one is like the one that is wanted."""
    def is_there():
        return picture.is_same(shoot(world, host, name), want)
    if await_true(is_there, PATIENCE, 0.1) is None:
        raise Failure(picture.differences(shoot(world, host, name), want))


def await_rest(world, host, name):
    """Screenshots until there is a picture that does not change."""
    last = None
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        path = shoot(world, host, name)
        with open(path, 'rb') as file:
            data = file.read()
        if data == last and not picture.is_same(path, host.empty):
            return path
        last = data
        time.sleep(0.3)
    raise Failure(f'the picture does not come to rest within {PATIENCE} s, see {path}')


def await_empty(world, host, name):
    """What a client has shown must go with it."""
    await_picture(world, host, host.empty, f'{name}-left')


def still(world, scene):
    """One of our scenes. It says when it is shown, so that one native screenshot does. Then it is shown by its own memory, which
    the compositor gets (but for the scenes "file" and "unsealed"), and as a copy."""
    host = world.new_weston()
    client = world.start(host, [world.program('wl-still'), scene], wrapper=[])
    client.expect('shown')
    want = shoot(world, host, f'{scene}-native')
    client.finish()
    if picture.is_same(want, host.empty):
        raise Failure('natively the screen stays empty')
    for name, proxy in [('wrapped', []), ('copied', copying(world))]:
        host = world.new_weston()
        client = world.start(host, [*world.wrapper, *proxy, world.program('wl-still'), scene], wrapper=[])
        client.expect('shown')
        await_picture(world, host, want, f'{scene}-{name}')
        client.finish()
        await_empty(world, host, scene)


def copying(world):
    """A second proxy, on the same device, which gives the compositor no memory of clients."""
    return [os.path.join(world.build, 'guest/wayland/neep-wayland'), '--copy-buffers', '--'] if world.wrapper else []


def application(world, name, make_host, command, **options):
    """A program of others, which shows a picture that does not move and ends when it is told to."""
    if shutil.which(command[0]) is None:
        raise Failure(f'{command[0]} is missing: run scripts/deps.sh wayland')
    host = make_host()
    client = world.start(host, command, wrapper=[], **options)
    want = await_rest(world, host, f'{name}-native')
    client.kill()
    await_empty(world, host, name)
    host = make_host()
    client = world.start(host, command, **options)
    await_picture(world, host, want, f'{name}-wrapped')
    client.kill()
    await_empty(world, host, name)


def weston_terminal(world):
    application(world, 'weston-terminal', world.new_weston, ['weston-terminal', '--shell=' + os.path.join(DATA, 'talk')])


def foot(world):
    """It wants a seat, which weston has none of without a screen."""
    application(world, 'foot', world.sway, ['foot', '--app-id=neep-test-1', f"--config={os.path.join(DATA, 'foot.ini')}",
                                            os.path.join(DATA, 'talk')])


def qt(world):
    qml = '/usr/lib/qt6/bin/qml'
    application(world, 'qt', world.new_weston, [qml, os.path.join(DATA, 'window.qml')], env={
        'QT_QPA_PLATFORM': 'wayland', 'QT_QUICK_BACKEND': 'software', 'QT_WAYLAND_DISABLE_WINDOWDECORATION': '1'})


def cases(world):
    scenes = subprocess.run([world.program('wl-still'), '--list'], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    for scene in scenes:
        yield f'picture_{scene}_is_the_same', still, scene
    yield 'picture_of_weston_terminal_is_the_same', weston_terminal
    yield 'picture_of_foot_is_the_same', foot
    yield 'picture_of_a_qt6_program_is_the_same', qt
