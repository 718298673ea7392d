"""Programs whose pictures move, so that two runs never show the same one. What is compared instead stands with each case."""
import re
import time

import compositor
import picture
from case_pictures import DATA, await_empty, shoot
from processes import await_true
from tap import Failure

PATIENCE = 15  # seconds
SHOTS = 5
EDGE = 10  # pixels
MOVING_MAX = 0.12  # of the picture


def frames(client):
    """What was attached, of a client with WAYLAND_DEBUG."""
    with open(client.log, errors='replace') as file:
        return len(re.findall(r' wl_surface[@#]\d+\.attach\(', file.read()))


def watch(world, name, command, wrapper):
    """Two looks at a window of weston: where it is and of what colors, and how many frames it showed within a second."""
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
    before = frames(client)
    time.sleep(1)
    rate = frames(client) - before
    client.kill()
    await_empty(world, host, name)
    return looks, rate


def window(world, name, command, has_constant_colors):
    """Its place and size, and that its frames do not stop. With constant colors: there are as many pixels of each color, but for
    a few at the edge of what moves, so that nothing old is left behind."""
    native, native_rate = watch(world, name, command, [])
    through, rate = watch(world, name, command, world.wrapper)
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


def run_gtk(world, wrapper):
    host = world.sway()
    client = world.start(host, ['gtk4-widget-factory'], wrapper=wrapper, env={
        'GDK_BACKEND': 'wayland', 'GSK_RENDERER': 'cairo', 'GTK_A11Y': 'none', 'GSETTINGS_BACKEND': 'memory',
        'XDG_CONFIG_HOME': DATA, 'DBUS_SESSION_BUS_ADDRESS': 'disabled:'})
    name = f"gtk-{'wrapped' if wrapper else 'native'}"
    if await_true(lambda: not picture.is_same(shoot(world, host, name), host.empty), PATIENCE, 0.1) is None:
        raise Failure(f'gtk4-widget-factory shows nothing\n{client.said()}')
    time.sleep(1.5)
    found = moving_tiles(world, host, name)
    client.kill()
    await_empty(world, host, name)
    return found


def gtk(world):
    """Some of its bars and wheels never rest: squares of the picture that change are left out."""
    native, native_moving = run_gtk(world, [])
    through, through_moving = run_gtk(world, world.wrapper)
    moving = native_moving | through_moving
    if len(moving) > MOVING_MAX * len(native):
        raise Failure(f'{len(moving)} of {len(native)} squares move')
    wrong = [place for place in native if place not in moving and native[place] != through[place]]
    if wrong:
        raise Failure(f'{len(wrong)} of {len(native)} squares of {picture.TILE} pixels differ: {sorted(wrong)[:8]}')
    return f'{len(native) - len(moving)} of {len(native)} squares do not move, and are the same'


def cases(world):
    del world
    yield 'weston_simple_shm_looks_the_same', simple_shm
    yield 'weston_simple_damage_looks_the_same', simple_damage
    yield 'gtk4_widget_factory_looks_the_same', gtk
