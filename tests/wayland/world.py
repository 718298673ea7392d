"""What the cases share: where programs are, what they run under, the compositors, and the clients that run."""
import os
import select
import shutil
import signal
import subprocess
import time

import compositor
from tap import Failure

PATIENCE = 60  # seconds
MARK = 'NEEP_WAYLAND_TEST'  # in the environment of everything that is started


class Client:
    """A client that runs: its standard input and output are pipes, what it says on stderr is kept."""

    def __init__(self, host, command, log, env=(), **options):
        self.log = log
        self.pending = b''
        with open(log, 'wb') as stderr:
            self.process = subprocess.Popen(command, env={**host.env, **dict(env)}, stderr=stderr, start_new_session=True,
                                            **{'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, **options})

    def said(self):
        """The end of its stderr."""
        with open(self.log, errors='replace') as file:
            return '\n'.join(file.read().splitlines()[-12:])

    def line(self, patience=PATIENCE):
        """The next line of its standard output, without the newline; None when it ends."""
        limit = time.monotonic() + patience
        while b'\n' not in self.pending:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f'{" ".join(self.process.args)} says nothing for {patience} s\n{self.said()}')
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return None
            self.pending += data
        line, self.pending = self.pending.split(b'\n', 1)
        return line.decode(errors='replace')

    def expect(self, line):
        try:
            found = self.line()
        except Failure as failure:
            raise Failure(f'waiting for "{line}": {failure}') from None
        if found != line:
            raise Failure(f'{" ".join(self.process.args)} says "{found}", not "{line}" '
                          f'(status {self.process.poll()})\n{self.said()}')

    def wait(self, patience=PATIENCE):
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Failure(f'{" ".join(self.process.args)} has not ended after {patience} s\n{self.said()}') from None

    def finish(self, status=0):
        """Ends its standard input, upon which our own clients end."""
        self.process.stdin.close()
        if self.wait() != status:
            raise Failure(f'{" ".join(self.process.args)} ended with status {self.process.returncode}\n{self.said()}')

    def kill(self):
        """All of it, with what it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class World:
    """wrapper: the words before each client, or [] for none."""

    def __init__(self, build, wrapper, folder, keep):
        self.build = build
        self.wrapper = wrapper
        self.folder = folder
        self.keep = keep
        self.hosts = []
        self.shared_sway = None
        self.clients = []
        self.count = 0

    def program(self, name):
        """The path of one of our clients."""
        path = os.path.join(self.build, 'tests/wayland', name)
        if not os.access(path, os.X_OK):
            raise Failure(f'{path} is missing: it needs libwayland-dev, wayland-protocols and libxkbcommon-dev')
        return path

    def new_host(self, kind):
        """A compositor of that class, until the end of the case."""
        self.count += 1
        host = kind(self.folder, f'{kind.__name__.lower()}-{self.count}')
        self.hosts.append(host)
        return host

    def new_weston(self):
        return self.new_host(compositor.Weston)

    def sway(self):
        """The one that all cases share; a new one where it has ended."""
        if self.shared_sway is None or self.shared_sway.process.poll() is not None:
            self.shared_sway = self.new_host(compositor.Sway)
        return self.shared_sway

    def start(self, host, command, wrapper=None, **options):
        """A client under the wrapper, or under another one ([]: none)."""
        self.count += 1
        log = os.path.join(self.keep, f'{self.count}-{os.path.basename(command[0])}.log')
        options['env'] = {MARK: str(os.getpid()), **dict(options.get('env', ()))}
        client = Client(host, [*(self.wrapper if wrapper is None else wrapper), *command], log, **options)
        self.clients.append(client)
        return client

    def end_case(self):
        """Ends what the case has started."""
        for client in self.clients:
            client.kill()
            for pipe in (client.process.stdin, client.process.stdout):
                if pipe is not None and not pipe.closed:
                    try:
                        pipe.close()
                    except OSError:
                        pass  # what was not written yet
        self.clients = []

        for host in self.hosts:
            if host is not self.shared_sway:
                self._stop(host)
        self.hosts = [host for host in self.hosts if host is self.shared_sway]

    def _stop(self, host):
        host.stop()
        shutil.copy(host.log, os.path.join(self.keep, f'{os.path.basename(host.folder)}.log'))

    def end(self):
        self.end_case()
        for host in self.hosts:
            self._stop(host)
