"""The clipboard: wl-copy and wl-paste, one of them or both through the wrapper. What comes out must be what went in, byte for
byte."""
import hashlib
import os
import re
import select
import subprocess
import time

from processes import await_true
from seat import Seat
from tap import Failure

PATIENCE = 60  # seconds
# What fits into one message of cross-domain, and its neighbours; and more than any buffer holds.
HUGE, LARGE, MEDIUM = 150_000_000, 50_000_000, 8_000_000
SIZES = (0, 1, 4071, 4072, 4073, LARGE)


def make_data(world, size):
    """A file of that size."""
    path = os.path.join(world.folder, f'data-{size}')
    if not os.path.exists(path):
        block = b''.join(hashlib.sha256(b'%d' % i).digest() for i in range(8192))
        with open(path, 'wb') as file:
            file.write((block * (size // len(block) + 1))[:size])
    return path


def digest_of(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def new_type(world):
    world.count += 1
    return f'application/x-neep-test-{world.count}'


def await_offer(host, mime, client, *words):
    """Until the compositor knows what wl-copy offers."""
    def is_offered():
        # wl-paste fails while there is nothing.
        types = subprocess.run(['wl-paste', '--list-types', *words], env=host.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               timeout=PATIENCE, check=False).stdout
        return mime in types.decode().split()
    if await_true(is_offered, PATIENCE, 0.1) is None:
        raise Failure(f'wl-copy offers nothing\n{client.said()}')


def copy(world, host, size, wrapper, *words):
    """wl-copy, with more words, and the type that it offers."""
    mime = new_type(world)
    with open(make_data(world, size), 'rb') as data:
        client = world.start(host, ['wl-copy', '--foreground', '--type', mime, *words], wrapper=wrapper, stdin=data)
    await_offer(host, mime, client, *words)
    return client, mime


def copy_in(world, host, size, crowd):
    """The same as one of the crowd, named "copy"; only the type is returned."""
    mime = new_type(world)
    crowd.start('copy', ['sh', '-c', f'exec wl-copy --foreground --type {mime} <{make_data(world, size)}'])
    await_offer(host, mime, crowd.client)
    return mime


def drain(client, patience):
    """Reads to the end, which must come soon."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        if select.select([client.process.stdout], [], [], 0.1)[0] and not os.read(client.process.stdout.fileno(), 1 << 20):
            return
    raise Failure(f'the end does not come within {patience} s\n{client.said()}')


def start_paste(world, host, mime, wrapper, **options):
    return world.start(host, ['wl-paste', '--no-newline', '--type', mime], wrapper=wrapper, stdin=subprocess.DEVNULL, **options)


def await_receive(client):
    """Until it has used the offer: it runs with WAYLAND_DEBUG."""
    def is_used():
        with open(client.log, errors='replace') as file:
            return re.search(r'_offer[a-z_\d]*[@#]\d+\.receive\(', file.read()) is not None
    if await_true(is_used, PATIENCE) is None:
        raise Failure(f'wl-paste asks for nothing\n{client.said()}')


def read_all(clients, pause=0):
    """[(bytes, digest)] of what each of them says until its end, read as they say it."""
    counts = {client: 0 for client in clients}
    digests = {client: hashlib.sha256() for client in clients}
    pipes = {client.process.stdout.fileno(): client for client in clients}
    limit = time.monotonic() + PATIENCE
    while pipes:
        ready = select.select(list(pipes), [], [], max(0, limit - time.monotonic()))[0]
        if not ready:
            raise Failure(f'{len(pipes)} of {len(clients)} have not got all after {PATIENCE} s, '
                          f'but {sorted(counts.values())} bytes')
        for fd in ready:
            client = pipes[fd]
            data = os.read(fd, 1 << 20)
            counts[client] += len(data)
            digests[client].update(data)
            if not data:
                del pipes[fd]
        time.sleep(pause)
    return [(counts[client], digests[client].hexdigest()) for client in clients]


def paste(world, host, size, mime, wrapper, count=1, begin=0, pause=0):
    """Pastes `count` times at once, from `begin` seconds on and with a pause after each read; returns the seconds it took."""
    start = time.monotonic()
    clients = []
    for _ in range(count):
        clients.append(start_paste(world, host, mime, wrapper, env={'WAYLAND_DEBUG': '1'}))
        # A window that takes the focus takes the offer away from the one before, if that has not used it yet. What it gets
        # cannot be waited for: wl-copy serves one after the other.
        await_receive(clients[-1])
    time.sleep(begin)
    for found, digest in read_all(clients, pause):
        if found != size or digest != digest_of(make_data(world, size)):
            raise Failure(f'{found} bytes of {size} arrive' if found != size else f'of {size} bytes some are wrong')
    for client in clients:
        if client.wait() != 0:
            raise Failure(f'wl-paste ends with status {client.process.returncode}\n{client.said()}')
    return time.monotonic() - start


def setting(world, way):
    """The compositor, and what the source and the sink run under."""
    host = world.sway()
    Seat(world, host)
    inside = {'in': (False, True), 'out': (True, False), 'within': (True, True)}[way]
    return (host, *(world.wrapper if is_inside else [] for is_inside in inside))


def transfer(world, way, size):
    host, source, sink = setting(world, way)
    _, mime = copy(world, host, size, source)
    return f'{paste(world, host, size, mime, sink):.2f} s'


def several(world, way):
    host, source, sink = setting(world, way)
    _, mime = copy(world, host, MEDIUM, source)
    paste(world, host, MEDIUM, mime, sink, count=4)


def slow(world, way, size):
    """A reader who does not begin for a while, and takes his time then: nothing in between may hold it all, or lose it."""
    host, source, sink = setting(world, way)
    _, mime = copy(world, host, size, source)
    return f'{paste(world, host, size, mime, sink, begin=1, pause=0.001):.2f} s'


def primary(world, way):
    """The other selection, which holds something else meanwhile."""
    host, source, sink = setting(world, way)
    _, mime = copy(world, host, 5000, source, '--primary')
    _, other = copy(world, host, 6000, source)
    client = world.start(host, ['wl-paste', '--primary', '--no-newline', '--type', mime], wrapper=sink,
                         stdin=subprocess.DEVNULL)
    if read_all([client]) != [(5000, digest_of(make_data(world, 5000)))]:
        raise Failure(f'the primary selection is something else\n{client.said()}')
    paste(world, host, 6000, other, sink)


def early(world, way):
    """A reader who has enough: the next one gets all of it."""
    host, source, sink = setting(world, way)
    client, mime = copy(world, host, MEDIUM, source)
    reader = start_paste(world, host, mime, sink)
    if not os.read(reader.process.stdout.fileno(), 10000):
        raise Failure(f'nothing arrives\n{reader.said()}')
    reader.process.stdout.close()
    reader.wait()
    if client.process.poll() is not None:
        raise Failure(f'wl-copy has ended with status {client.process.returncode}\n{client.said()}')
    paste(world, host, MEDIUM, mime, sink)


def cases(world):
    for way in ('in', 'out', 'within'):
        for size in SIZES:
            yield f'clipboard_{way}_of_{size}_bytes', transfer, way, size
        yield f'clipboard_{way}_to_several_at_once', several, way
        # What comes out of a guest, the host must hold up in time.
        yield f'clipboard_{way}_to_a_slow_reader', slow, way, HUGE if way == 'out' else LARGE
        yield f'clipboard_{way}_to_one_who_stops_early', early, way
        yield f'primary_selection_{way}_is_another', primary, way
