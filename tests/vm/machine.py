"""A virtual machine under test: a vhost-user backend, a QEMU, the guest's console, the QEMU monitor.

Everything that a Machine starts ends with it, whichever way its `with` block is left, and its folder goes away.
"""

import ctypes
import itertools
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wayland"))

from gputap import GpuTap
from tap import Failure, Skip

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
GENERIC = "vhost-user-test-device-pci,virtio-id=16,num_vqs=2,config_size=16,vq_size=256"
DEVICES = {
    "gpu-pci": "vhost-user-gpu-pci",
    "vga": "vhost-user-vga",
    "generic": GENERIC,
    "generic-3d": GENERIC,
}


def is_generic(device):
    """True for the device that has no display in QEMU: the backend's own picture is looked at."""
    return device.startswith("generic")


def _begin():
    """Whoever is started in the background ignores SIGINT, and so do its children: not ours."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, log, **kwargs):
    """Starts a child in a process group of its own that does not outlive this process."""
    return subprocess.Popen(command, stderr=log, start_new_session=True, preexec_fn=_begin, **kwargs)


def end(process, grace=3):
    """Ends a process and its group: asked first, then by force."""
    if process is None:
        return
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            break
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def wait_until(condition, timeout, what):
    """Polls until condition() is true; returns its value."""
    limit = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise Failure(f"{what} did not happen within {timeout:g} s")
        time.sleep(0.02)


def is_listening(path):
    """True once a unix socket at path accepts connections; asks the kernel, so that no connection is used up."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
        for line in table:
            words = line.split()
            if len(words) == 8 and words[7] == path and int(words[3], 16) & 0x10000:
                return True
    return False


def tail_of(path, lines=15):
    """The last lines of a log; a line that repeats is given once with its count."""
    with open(path, encoding="utf-8", errors="replace") as log:
        runs = [(line, len(list(same))) for line, same in itertools.groupby(line.rstrip() for line in log)]
    return "".join(f"  {line}" + (f" (x{n})" if n > 1 else "") + "\n" for line, n in runs[-lines:])


class Monitor:
    """The QEMU monitor protocol over a unix socket: one command at a time."""

    def __init__(self, path, timeout):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.events = []
        self._read()
        self.execute("qmp_capabilities")

    def _read(self):
        try:
            line = self.lines.readline()
        except OSError as error:
            raise Failure(f"the QEMU monitor does not answer: {error}") from error
        if not line:
            raise Failure("QEMU closed its monitor")
        return json.loads(line)

    def execute(self, command, **arguments):
        """Runs a command and returns its result; an error from QEMU is a Failure."""
        message = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise Failure(f"QEMU refused {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer.get("event"))

    def wait_event(self, name):
        """Waits for an event of that name, as long as for an answer."""
        while name not in self.events:
            self.events.append(self._read().get("event"))

    def close(self):
        self.lines.close()
        self.socket.close()


class Console:
    """The guest's serial console: lines in, lines out. check() is called while waiting and raises when waiting is vain."""

    def __init__(self, process, log_path, check):
        self.process = process
        self.check = check
        self.log = open(log_path, "wb")
        self.pending = b""
        self.seen = []

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _more(self, timeout):
        ready, _, _ = select.select([self.process.stdout], [], [], min(max(timeout, 0), 0.5))
        if not ready:
            self.check()
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise Failure(f"QEMU ended with status {self.process.wait()}")
        self.log.write(data)
        self.log.flush()
        self.pending += data
        return True

    def expect(self, pattern, timeout):
        """Reads lines until one matches; returns the match. The lines before it are kept in `seen`."""
        limit = time.monotonic() + timeout
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                text = line.decode(errors="replace").strip("\r")
                self.seen.append(text)
                match = re.search(pattern, text)
                if match:
                    return match
                if "neep-draw: error" in text or "Kernel panic" in text:
                    raise Failure(text)
            if not self._more(limit - time.monotonic()) and time.monotonic() > limit:
                raise Failure(f"no line /{pattern}/ on the guest's console within {timeout:g} s")

    def find(self, pattern):
        """All matches in the lines that were read so far."""
        return [m for m in (re.search(pattern, line) for line in self.seen) if m]

    def close(self):
        self.log.close()


class Machine:
    """One backend, one QEMU, one guest, alive from start() to close().

    setup    the Setup of the run: paths, commands, limits
    device   a key of DEVICES
    options  more device properties, as "max_outputs=2"
    backend  more words for the backend's command line
    memory   size of the guest's RAM, and more words for QEMU's -m
    tap      how many heads a GpuTap between QEMU and the backend shows; 0: no tap
    twins    a second device of the kind with a backend of its own
    split    the backend with the fake renderer offers no packed rings
    """

    def __init__(self, setup, device, options="", backend=(), memory="512M", tap=0, twins=False, split=False):
        self.setup = setup
        self.device = device
        self.options = options
        self.backend_words = list(backend)
        self.memory = memory
        self.tap = GpuTap(tap) if tap else None
        self.count = 2 if twins else 1
        self.environment = {**os.environ, "NEEP_FAKE_SPLIT": "1"} if split else None
        self.is_ready = False
        self.is_spent = False
        self.folder = None
        self.backends = []
        self.qemu = None
        self.console = None
        self.monitor = None

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="neep-vm.")
        try:
            for index in range(self.count):
                self._start_backend(index)
            self._start_qemu()
        except BaseException as error:
            if isinstance(error, Failure):
                self.setup.note(self.report())
            self.close()
            raise

    def close(self):
        for item in (self.monitor, self.console):
            if item is not None:
                item.close()
        end(self.qemu)
        for backend in self.backends:
            end(backend)
        if self.tap is not None:
            self.tap.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def limit(self, seconds):
        """A minute at least: a guest without KVM, on a machine with others at work."""
        return max(seconds, 60) * self.setup.slowness

    def fill(self, template, index=0, **more):
        """The words of a command template with {socket}, {control}, {display} and further names filled in."""
        display = "headless" if is_generic(self.device) else "qemu"
        names = {"socket": self.path(f"gpu{index}.sock"), "control": self.path(f"control{index}.sock"), "display": display, **more}
        return [word.format(**names) for word in shlex.split(template)]

    def _start_backend(self, index):
        command = self.fill(self.setup.backends[self.device], index) + self.backend_words
        with open(self.path(f"backend{index}.log"), "wb") as log:
            self.backends.append(spawn(command, log, stdout=log, stdin=subprocess.DEVNULL, env=self.environment))
        wait_until(lambda: self._backend_listens(index), self.limit(10), "the backend's socket")
        if self.tap is not None:
            self.tap.start(self.path("tap.sock"), self.path("gpu0.sock"))

    def _backend_listens(self, index):
        if self.backends[index].poll() is not None:
            raise Failure(f"the backend ended with status {self.backends[index].returncode} before it served a socket")
        return is_listening(self.path(f"gpu{index}.sock"))

    def _device_words(self, index):
        gpu = self.path("tap.sock" if self.tap is not None else f"gpu{index}.sock")
        device = ",".join(word for word in (DEVICES[self.device], f"id=gpu{index}", f"chardev=gpu{index}", self.options) if word)
        return ["-chardev", f"socket,id=gpu{index},path={gpu}", "-device", device]

    def qemu_command(self):
        words = shlex.split(self.setup.qemu) + self.setup.accel_words()
        words += ["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-smp", "2"]
        words += ["-machine", "q35,memory-backend=ram", "-m", self.memory]
        words += ["-object", f"memory-backend-memfd,id=ram,size={self.memory.split(',')[0]},share=on"]
        for index in range(self.count):
            words += self._device_words(index)
        words += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        words += ["-qmp", f"unix:{self.path('qmp.sock')},server=on,wait=off"]
        return words + self.setup.kernel_words()

    def _start_qemu(self):
        with open(self.path("qemu.log"), "wb") as log:
            self.qemu = spawn(self.qemu_command(), log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.console = Console(self.qemu, self.path("console.log"), self.check_alive)
        wait_until(self._qemu_listens, self.limit(10), "the QEMU monitor")
        try:
            self.monitor = Monitor(self.path("qmp.sock"), self.limit(20))
        except (Failure, OSError):
            # QEMU opens its monitor before its devices: one that it refuses shows here.
            wait_until(lambda: self.qemu.poll() is not None, self.limit(5), "the QEMU monitor or QEMU's end")
            self._qemu_listens()

    def _qemu_listens(self):
        if self.qemu.poll() is None:
            return is_listening(self.path("qmp.sock"))
        with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as log:
            text = log.read()
        if "requires kvm" in text:
            raise Skip("this QEMU serves vhost-user-gpu under KVM only, and this run is without KVM")
        if "is not a valid device model name" in text:
            raise Skip(f"this QEMU has no {DEVICES[self.device].split(',', maxsplit=1)[0]}")
        raise Failure(f"QEMU ended with status {self.qemu.returncode} at its start")

    def wait_ready(self):
        """Waits until the guest takes commands; a machine that served an earlier case does already."""
        if not self.is_ready:
            self.console.expect(r"neep-guest: ready", self.limit(60))
        self.is_ready = True

    def reset(self):
        """Pulls the machine's reset line: the guest boots again."""
        self.is_ready = False
        self.monitor.execute("system_reset")

    def run(self, command):
        """Starts a command in the guest."""
        self.console.send(command)

    def finish(self, status=0, timeout=60):
        """Waits for the guest's command to end and checks its exit status."""
        got = int(self.console.expect(r"neep-exit: (\d+)", self.limit(timeout)).group(1))
        if got != status:
            raise Failure(f"the guest's command ended with status {got}, want {status}")

    def wait_drawn(self, scene, timeout=60):
        """Waits until `draw` has put its scene up; returns what it says about it."""
        match = self.console.expect(rf"neep-draw: ready (scene={scene} .*)", self.limit(timeout))
        return dict(word.split("=", 1) for word in match.group(1).split())

    def release(self):
        """Lets `draw` take its scene down and end."""
        self.console.send("")
        self.finish()

    def screenshot(self, scanout, out, index=0):
        """Writes what is on a scanout as PNG: what the device itself has, or what reached QEMU's display."""
        if is_generic(self.device) or self.setup.screenshot_always:
            self.host_command(self.setup.screenshot, index, scanout=scanout, out=out)
        else:
            self.monitor.execute("screendump", filename=out, format="png", device=f"gpu{index}", head=scanout)

    def host_command(self, template, index=0, **names):
        """Runs a command on the host (the backend's control command); it must succeed."""
        if not template:
            raise Failure("this needs a command template of the backend (--screenshot, --resize)")
        words = self.fill(template, index, **names)
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=self.limit(20), check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"{words[0]}: {error}") from error
        if done.returncode != 0:
            raise Failure(f"{shlex.join(words)} ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def stats(self):
        """The device's counters."""
        return json.loads(self.host_command(self.setup.stats))

    def expect_picture(self, size, scanout=0, crop=None, index=0):
        """Takes pictures until one equals what the guest drew; the display path may lag behind the guest a little."""
        out = self.path(f"scanout{scanout}.png")
        words = [self.setup.expected, "--size", size] + (["--crop", crop] if crop else []) + ["--compare", out]
        limit = time.monotonic() + self.limit(5)
        while True:
            self.screenshot(scanout, out, index)
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return out
            if time.monotonic() > limit:
                self.setup.keep(out)
                raise Failure(f"scanout {scanout}: {(done.stdout + done.stderr).strip()}")
            time.sleep(0.1)

    def check_alive(self):
        """The backend must never end while its front-end is there."""
        for backend in self.backends:
            if backend.poll() is not None:
                raise Failure(f"the backend ended with status {backend.returncode}")

    def report(self):
        """The last lines of every log, for a person."""
        text = ""
        for name in ("backend0.log", "backend1.log", "qemu.log", "console.log"):
            if os.path.exists(self.path(name)):
                text += f"{name}:\n{tail_of(self.path(name))}"
        return text
