"""Protocols that the programs of the other cases do not use: what a client is told through the wrapper must be what it is told
alone."""
import glob
import json
import os

from processes import await_true
from seat import Seat
from tap import Failure


def inhibits(host):
    """Whether a window holds the screen awake, as sway says."""
    def found(node):
        return node.get('idle_inhibitors', {}).get('application', 'none') != 'none' or \
            any(found(child) for child in node.get('nodes', []) + node.get('floating_nodes', []))
    socket = glob.glob(os.path.join(host.runtime, 'sway-ipc.*.sock'))[0]
    return found(json.loads(host.run(['swaymsg', '--socket', socket, '--raw', '--type', 'get_tree'])))


class Extras:
    """wl-extras, and what it has said."""

    def __init__(self, world, host, wrapper):
        self.client = world.start(host, [world.program('wl-extras')], wrapper=wrapper)
        self.lines = []
        self.until('shown')

    def until(self, start):
        while not any(line.startswith(start) for line in self.lines):
            try:
                line = self.client.line()
            except Failure as failure:
                raise Failure(f'waiting for "{start}" after {self.lines}: {failure}') from None
            if line is None:
                raise Failure(f'wl-extras ends without "{start}": {self.lines}\n{self.client.said()}')
            self.lines.append(line)


def on_sway(world, wrapper):
    host = world.sway()
    seat = Seat(world, host)
    seat.tell('move 700 500')
    client = Extras(world, host, wrapper)
    if await_true(lambda: inhibits(host), 20, 0.1) is None:
        raise Failure('sway knows of no window that holds the screen awake')
    seat.tell('move 100 100')
    client.until('locked')
    # It stays where it is now.
    seat.tell('move 120 130')
    client.until('relative')
    client.client.process.stdin.write(b'confine\n')
    client.client.process.stdin.flush()
    client.until('confined')
    seat.tell('move 150 160')
    client.until('motion')
    seat.tell('button 1', 'button 0')
    client.until('button 272 0')
    client.client.finish()
    if await_true(lambda: not inhibits(host), 20, 0.1) is None:
        raise Failure('the screen is held awake still')
    # sway's screen that is none presents only sometimes.
    return [line for line in client.lines if not line.startswith('presented')]


def on_weston(world, wrapper):
    """It has neither a seat nor sway's protocols, but tells when pictures are presented."""
    client = Extras(world, world.new_weston(), wrapper)
    client.until('presented on the screen')
    client.until('presented just now')
    client.client.finish()
    return client.lines


def extras(world, use):
    native = use(world, [])
    world.end_case()
    through = use(world, world.wrapper)
    # What the window is told and what the pointer is are not told in one order.
    if sorted(native) != sorted(through):
        raise Failure(f'natively:\n{native}\nthrough the wrapper:\n{through}')
    missing = sorted(line[3:] for line in native if line.startswith('no '))
    return f"{len(native) - len(missing)} lines; not there: {', '.join(missing)}"


def cases(world):
    del world
    yield 'rare_protocols_of_sway_tell_the_same', extras, on_sway
    yield 'rare_protocols_of_weston_tell_the_same', extras, on_weston
