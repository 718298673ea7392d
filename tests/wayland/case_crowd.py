"""Several clients at once under one wrapper: a picture of four of them, and what is left when one of them, the proxy, the device
or the compositor is killed while frames and the clipboard flow. Those who stay must go on, those who go must know soon, and
nothing may be left."""
import json
import os
import queue
import signal
import sys
import threading
import time

import case_clipboard
import compositor
import processes
from case_pictures import await_empty, await_picture, await_rest
from seat import Seat
from tap import Failure, Skip

PATIENCE = 60  # seconds
SOON = 20  # seconds after which a client must know that its connection is gone: at once, where nothing else runs
CLOSED = 3  # exit status of our clients then
CROWD = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'crowd.py')
MARK = 'NEEP_WAYLAND_CROWD'
DEVICE, PROXY = 'vhost-user-neep', 'neep-wayland'


class Crowd:
    """Clients under one wrapper. What they say is read all the time."""

    def __init__(self, world, host, wrapper=None):
        self.world = world
        world.count += 1
        self.mark = f'{os.getpid()}-{world.count}'
        self.client = world.start(host, [sys.executable, CROWD], wrapper=wrapper, env={MARK: self.mark})
        self.pids, self.ended, self.lines = {}, {}, {}
        self.news = queue.Queue()
        self.client.expect('ready')
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while True:
                line = self.client.line(patience=1000)
                self.news.put((time.monotonic(), line))
                if line is None:
                    return
        except (Failure, OSError, ValueError):
            pass  # the case is over

    def _note(self, when, line):
        words = (line or '').split()
        if words[:1] == ['started']:
            self.pids[words[1]] = int(words[2])
        elif words[:1] == ['ended']:
            self.ended[words[1]] = (int(words[2]), when)
        elif words:
            self.lines.setdefault(words[0].rstrip(':'), []).append(' '.join(words[1:]))

    def look(self):
        while not self.news.empty():
            self._note(*self.news.get())

    def wait(self, what, is_true, patience=PATIENCE):
        def look():
            self.look()
            return is_true()
        if processes.await_true(look, patience) is None:
            raise Failure(f'{what}: not within {patience} s; ended: {self.ended}\n{self.client.said()}')

    def start(self, name, words, until=None):
        """until: the words that its first line begins with."""
        self.client.process.stdin.write(json.dumps([name, *words]).encode() + b'\n')
        self.client.process.stdin.flush()
        self.wait(f'{name} starts', lambda: name in self.pids)
        if until is not None:
            self.wait(f'{name} says "{until}"', lambda: any(line.startswith(until) for line in self.lines.get(name, [])))

    def start_frames(self, name):
        self.start(name, [self.world.program('wl-frames'), 'frames', f'neep-test-{name}'], 'frame')

    def kill(self, name):
        """It, and what it has started."""
        for pid in processes.family(self.pids[name]):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # killed with its other half

    def expect_going_on(self, name):
        self.look()
        count = len(self.lines[name])
        self.wait(f'{name} goes on', lambda: len(self.lines[name]) >= count + 3)

    def _expect(self, is_gone):
        start = time.monotonic()
        self.wait('they notice', is_gone, SOON)
        return f'after {time.monotonic() - start:.2f} s'

    def expect_end(self, names):
        """They end soon from now on; the crowd need not be there any more to tell it."""
        return self._expect(lambda: all(name in self.ended or not processes.exists(self.pids[name]) for name in names))

    def expect_closed(self, names):
        """They end soon, and know that it is because of their connection."""
        note = self._expect(lambda: all(name in self.ended for name in names))
        for name in names:
            if self.ended[name][0] != CLOSED:
                raise Failure(f'{name} ended with status {self.ended[name][0]}\n{self.client.said()}')
        return note

    def pid_of(self, program):
        """Of what the wrapper has started; None: there is no wrapper."""
        if not self.world.wrapper:
            return None
        def found():
            return [pid for pid, name in processes.marked(MARK, self.mark).items() if name == program]
        # What the proxy starts is a second one until it is a program of its own.
        if processes.await_true(lambda: len(found()) == 1, PATIENCE) is None:
            raise Failure(f'there are {len(found())} processes {program}')
        return found()[0]

    def fds(self):
        """{program: fds} of the wrapper's programs."""
        return {name: processes.fd_count(self.pid_of(name)) for name in (DEVICE, PROXY)} if self.world.wrapper else {}

    def expect_nothing_left(self):
        self.client.process.stdin.close()
        if processes.await_true(lambda: not processes.marked(MARK, self.mark), PATIENCE, 0.1) is None:
            raise Failure(f'still there: {processes.marked(MARK, self.mark)}')
        self.client.wait()


def four(world):
    """Four of our scenes, each at its place."""
    host = world.sway()
    scenes = ('argb8888', 'children', 'rgb565', 'odd_rows')
    want = None
    for wrapper in ([], world.wrapper):
        crowd = Crowd(world, host, wrapper)
        for i, scene in enumerate(scenes, 1):
            crowd.start(str(i), [world.program('wl-still'), scene, f'neep-test-{i}'], 'shown')
        if want is None:
            want = await_rest(world, host, 'four-native')
        else:
            await_picture(world, host, want, 'four-wrapped')
        crowd.expect_nothing_left()
        await_empty(world, host, 'four')


def start_flows(world, host, crowd):
    """A transfer into the crowd that stands still halfway, and one out of it. Returns who reads the second one."""
    Seat(world, host)
    _, mime = case_clipboard.copy(world, host, case_clipboard.MEDIUM, [])
    crowd.start('paste', ['sh', '-c', f'wl-paste --no-newline --type {mime} | (head -c 100000 | wc -c; sleep 1000)'], '100000')
    mime = case_clipboard.copy_in(world, host, case_clipboard.MEDIUM, crowd)
    reader = case_clipboard.start_paste(world, host, mime, [])
    if not os.read(reader.process.stdout.fileno(), 100000):
        raise Failure(f'nothing comes out of the crowd\n{reader.said()}')
    return reader


def client_killed(world):
    host = world.sway()
    crowd = Crowd(world, host)
    crowd.start_frames('1')
    before = crowd.fds()
    crowd.start_frames('2')
    reader = start_flows(world, host, crowd)
    crowd.kill('2')
    crowd.kill('copy')
    crowd.kill('paste')
    crowd.wait('those who were killed end', lambda: {'2', 'copy', 'paste'} <= set(crowd.ended))
    crowd.expect_going_on('1')
    case_clipboard.drain(reader, SOON)
    if processes.await_true(lambda: all(crowd.fds()[name] <= count for name, count in before.items()), PATIENCE, 0.1) is None:
        raise Failure(f'open files before {before}, after {crowd.fds()}')
    fresh = time.monotonic()
    crowd.start_frames('3')
    crowd.expect_going_on('1')
    crowd.kill('1')
    crowd.kill('3')
    crowd.expect_nothing_left()
    return f'{before}, a new one shows frames after {time.monotonic() - fresh:.1f} s' if before else ''


def killed(world, make_host, pid_of, expect):
    """Frames and transfers flow, and then all of them lose their connection."""
    host = make_host()
    crowd = Crowd(world, host)
    crowd.start_frames('1')
    crowd.start_frames('2')
    reader = start_flows(world, host, crowd)
    os.kill(pid_of(host, crowd), signal.SIGKILL)
    note = expect(crowd, ['1', '2'])
    # wl-copy writes until its reader goes.
    reader.kill()
    crowd.kill('paste')
    crowd.expect_end(['copy'])
    crowd.expect_nothing_left()
    return note


def proxy_killed(world):
    if not world.wrapper:
        raise Skip('there is no proxy without the wrapper')
    return killed(world, world.sway, lambda host, crowd: crowd.pid_of(PROXY), Crowd.expect_end)


def device_killed(world):
    if not world.wrapper:
        raise Skip('there is no device without the wrapper')
    return killed(world, world.sway, lambda host, crowd: crowd.pid_of(DEVICE), Crowd.expect_end)


def compositor_killed(world):
    return killed(world, lambda: world.new_host(compositor.Sway), lambda host, crowd: host.process.pid,
                  Crowd.expect_closed)


def memory_taken_away(world):
    """A client that truncates the memory of its picture while it is shown: only it must go."""
    host = world.sway()
    crowd = Crowd(world, host)
    crowd.start_frames('1')
    crowd.start('2', [world.program('wl-frames'), 'truncate', 'neep-test-2'], 'shown')
    crowd.wait('its end', lambda: '2' in crowd.ended)
    if crowd.ended['2'][0] <= 0:
        raise Failure(f"it ends with status {crowd.ended['2'][0]}")
    crowd.expect_going_on('1')
    crowd.start_frames('3')
    crowd.kill('1')
    crowd.kill('3')
    crowd.expect_nothing_left()


def idle(world):
    """A client that shows a still picture costs nobody anything."""
    host = world.new_weston()
    crowd = Crowd(world, host)
    crowd.start('1', [world.program('wl-still'), 'xrgb8888'], 'shown')
    everybody = processes.marked(MARK, crowd.mark)
    # The loop of this case reads what the crowd says; the crowd itself does nothing.
    if not processes.await_idle(everybody, 2, PATIENCE):
        raise Failure(f'one of {everybody} uses processor time every 2 s')
    return f'{len(everybody)} processes'


def cases(world):
    del world
    yield 'picture_of_four_clients_is_the_same', four
    yield 'kill_of_clients_is_noticed_by_nobody', client_killed
    yield 'kill_of_the_proxy_ends_connections', proxy_killed
    yield 'kill_of_the_device_ends_connections', device_killed
    yield 'kill_of_the_compositor_ends_connections', compositor_killed
    yield 'memory_that_is_taken_away_ends_one_client', memory_taken_away
    yield 'idle_client_uses_no_processor_time', idle
