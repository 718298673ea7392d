"""Programs whose pictures move, so that two runs never show the same one. What is compared instead stands with each case."""
import re
import time

import compositor
import picture
from case_pictures import DATA, await_empty, shoot
from processes import await_true
from tap import Failure

PATIENCE = 60  # seconds
SHOTS = 5
EDGE = 10  # pixels
MOVING_MAX = 0.12  # of the picture


def frames(client):
    """What was attached, of a client with WAYLAND_DEBUG."""
    with open(client.log, errors='replace') as file:
        return len(re.findall(r' wl_surface[@#]\d+\.attach\(', file.read()))


def await_rate(client, enough):
    """How many frames it shows within a second; the best of several seconds, until it is enough."""
    best = 0

    def is_enough():
        nonlocal best
        before = frames(client)
        time.sleep(1)
        best = max(best, frames(client) - before)
        return best >= enough
    await_true(is_enough, PATIENCE, 0)
    return best


def watch(world, name, command, wrapper, enough=0):
    """Two looks at a window of weston: where it is and of what colors, and how many frames it shows within a second."""
    host = world.new_weston()
    client = world.start(host, command, wrapper=wrapper, env={'WAYLAND_DEBUG': '1'})
    if await_true(lambda: frames(client) >= 5, PATIENCE) is None:
        raise Failure(f'{command[0]} shows no five frames\n{client.said()}')
    looks = []
    for i in range(2):
        looks.append(picture.window(shoot(world, host, f"{name}-{'wrapped' if wrapper else 'native'}-{i}"), compositor.BACKGROUND))
        time.sleep(0.1)
    if None in looks:
        raise Failure('nothing is to be seen')
    rate = await_rate(client, enough)
    client.kill()
    await_empty(world, host, name)
    return looks, rate


def window(world, name, command, has_constant_colors):
    """Its place and size, and that its frames do not stop. With constant colors: there are as many pixels of each color, but for
    a few at the edge of what moves, so that nothing old is left behind."""
    native, native_rate = watch(world, name, command, [])
    through, rate = watch(world, name, command, world.wrapper, native_rate / 4)
    if {place for place, _ in native} != {place for place, _ in through}:
        raise Failure(f'natively it is at {native[0][0]}, through the wrapper at {through[0][0]} and {through[1][0]}')
    looks = [look for _, look in native + through]
    if has_constant_colors and any((look - other).total() > EDGE for look in looks for other in looks):
        raise Failure(f'the colors are {through[0][1]} and {through[1][1]}, not {native[0][1]}')
    if rate < native_rate / 4:
        raise Failure(f'{rate} frames per second, natively {native_rate}')
    return f'{rate} frames per second, natively {native_rate}'


def simple_shm(world):
    return window(world, 'simple-shm', ['weston-simple-shm'], False)


def simple_damage(world):
    return window(world, 'simple-damage', ['weston-simple-damage', '--width=300', '--height=200'], True)


def moving_tiles(world, host, name):
    """A picture as squares, and which of them change within a while."""
    looks = []
    for i in range(SHOTS):
        looks.append(picture.tiles(shoot(world, host, f'{name}-{i}')))
        time.sleep(0.4)
    return looks[0], {place for place in looks[0] if any(look[place] != looks[0][place] for look in looks)}


def compare_gtk(first, second):
    """(the squares that do not rest in one or the other, those that rest and differ)"""
    moving = first[1] | second[1]
    return moving, [place for place in first[0] if place not in moving and first[0][place] != second[0][place]]


def run_gtk(world, wrapper, native=None):
    """What it shows once it shows the same as natively, or the same twice; what it shows last if it does not."""
    host = world.sway()
    client = world.start(host, ['gtk4-widget-factory'], wrapper=wrapper, env={
        'GDK_BACKEND': 'wayland', 'GSK_RENDERER': 'cairo', 'GTK_A11Y': 'none', 'GSETTINGS_BACKEND': 'memory',
        'XDG_CONFIG_HOME': DATA, 'DBUS_SESSION_BUS_ADDRESS': 'disabled:'})
    name = f"gtk-{'wrapped' if wrapper else 'native'}"
    if await_true(lambda: not picture.is_same(shoot(world, host, name), host.empty), PATIENCE, 0.1) is None:
        raise Failure(f'gtk4-widget-factory shows nothing\n{client.said()}')
    found = moving_tiles(world, host, name)

    def is_settled():
        nonlocal found
        before, found = native or found, moving_tiles(world, host, name)
        moving, wrong = compare_gtk(before, found)
        return not wrong and len(moving) <= MOVING_MAX * len(found[0])
    await_true(is_settled, PATIENCE, 0)
    client.kill()
    await_empty(world, host, name)
    return found


def gtk(world):
    """Some of its bars and wheels never rest: squares of the picture that change are left out."""
    native = run_gtk(world, [])
    moving, wrong = compare_gtk(native, run_gtk(world, world.wrapper, native))
    count = len(native[0])
    if len(moving) > MOVING_MAX * count:
        raise Failure(f'{len(moving)} of {count} squares move')
    if wrong:
        raise Failure(f'{len(wrong)} of {count} squares of {picture.TILE} pixels differ: {sorted(wrong)[:8]}')
    return f'{count - len(moving)} of {count} squares do not move, and are the same'


def cases(world):
    del world
    yield 'weston_simple_shm_looks_the_same', simple_shm
    yield 'weston_simple_damage_looks_the_same', simple_damage
    yield 'gtk4_widget_factory_looks_the_same', gtk
