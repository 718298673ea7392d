"""Input: a keymap and keys, and drag and drop. What the client is told through the wrapper must be what it is told alone."""
from seat import Seat
from tap import Failure

TYPE = 'application/x-neep-test'
COPY = 1  # of wl_data_device_manager.dnd_action
KEYS = (30, 42, 48, 1, 103)  # of Linux' input events: a, left shift, b, escape, up


def listen(world, wrapper):
    """What a client is told of the keyboard, until a press of each key."""
    host = world.sway()
    seat = Seat(world, host)
    client = world.start(host, [world.program('wl-keymap')], wrapper=wrapper)
    lines = []
    while not any(line.startswith('enter') for line in lines) or 'shown' not in lines:
        lines.append(client.line())
        if lines[-1] is None:
            raise Failure(f'the client has ended: {lines}\n{client.said()}')
    for key in KEYS:
        seat.tell(f'key {key} 1', f'key {key} 0')
    while lines[-1] != f'key {KEYS[-1]} 0':
        lines.append(client.line())
    client.finish()
    world.end_case()
    # When a picture is shown, and when the focus comes, are two matters.
    return [line for line in lines if line != 'shown']


def keyboard(world):
    native = listen(world, [])
    keymap = [line for line in native if line.startswith('keymap')]
    if not keymap or int(keymap[-1].split()[2]) < 20000:
        raise Failure(f'natively there is no proper keymap: {native}')
    through = listen(world, world.wrapper)
    if through != native:
        raise Failure(f'natively:\n{native}\nthrough the wrapper:\n{through}')
    return keymap[-1]


def read_until(client, last):
    """What the client says, to that line."""
    lines = []
    while not lines or lines[-1] != last:
        lines.append(client.line())
        if lines[-1] is None:
            raise Failure(f'{client.process.args[-1]} has ended without "{last}": {lines}\n{client.said()}')
    return lines


def drag(world, source_wrapper, target_wrapper, size):
    host = world.sway()
    seat = Seat(world, host)
    seat.tell('move 350 100')  # over neither of the windows
    source = world.start(host, [world.program('wl-drag'), 'source', 'neep-test-1', str(size)], wrapper=source_wrapper)
    source.expect('shown')
    target = world.start(host, [world.program('wl-drag'), 'target', 'neep-test-4'], wrapper=target_wrapper)
    target.expect('shown')
    seat.tell('move 100 100')
    source.expect('pointer 100 100')
    seat.tell('button 1')
    source.expect('dragging')
    seat.tell('move 250 250', 'move 300 310', 'move 500 400', 'move 510 410')
    target.expect(f'over {TYPE}')
    lines = read_until(source, f'action {COPY}')
    seat.tell('button 0')
    target.expect(f'dropped {size}, 0 wrong')
    lines += read_until(source, 'finished')
    if sorted(line for line in lines if not line.startswith('action')) != ['finished', 'performed', f'send {TYPE}']:
        raise Failure(f'the source says {lines}')
    source.finish()
    target.finish()


def drag_out(world):
    drag(world, world.wrapper, [], 100_000)


def drag_in(world):
    drag(world, [], world.wrapper, 100_000)


def drag_within(world):
    drag(world, world.wrapper, world.wrapper, 3_000_000)


def cases(world):
    yield 'keymap_and_keys_are_the_same', keyboard
    yield 'drag_from_inside_to_outside', drag_out
    yield 'drag_from_outside_to_inside', drag_in
    yield 'drag_within', drag_within
