"""The seat of a compositor: a keyboard and a pointer that the cases move."""
from tap import Failure


class Seat:
    def __init__(self, world, host):
        self.client = world.start(host, [world.program('wl-inject')], wrapper=[])
        self.client.expect('ready')

    def tell(self, *lines):
        for line in lines:
            self.client.process.stdin.write(line.encode() + b'\n')
            self.client.process.stdin.flush()
            if self.client.line() != 'done':
                raise Failure(f'wl-inject does not take "{line}"\n{self.client.said()}')
