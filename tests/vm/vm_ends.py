"""However a `neep vm` ends, nothing of it is left. The machine has an empty disk: its firmware waits for ever."""

import os
import signal
import subprocess
import tempfile

import processes
from machine import Failure, end, is_listening, spawn, tail_of, wait_until

PATIENCE = 120
QUIT = b"\x01x"  # to QEMU's console


class Machine:
    """One `neep vm` without a guest, until close()."""

    def __init__(self, neep, qemu, front_end):
        self.folder = tempfile.TemporaryDirectory(prefix="neep-ends.")
        self.control = os.path.join(self.folder.name, "control")
        self.log = os.path.join(self.folder.name, "log")
        disk = os.path.join(self.folder.name, "disk.raw")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        command = [neep, "vm", "--qemu", qemu, "--front-end", front_end, "--accel", "tcg", "--memory", "256M",
                   "--control", self.control, disk]
        if front_end != "generic":
            command[2:2] = ["--display", "none"]
        environment = {**os.environ, "XDG_RUNTIME_DIR": self.folder.name}
        with open(self.log, "wb") as log:
            self.process = spawn(command, log, stdin=subprocess.PIPE, stdout=log, env=environment)
        self.started = {}

    def await_running(self):
        """Until QEMU and the device have found each other."""
        def is_connected():
            if self.process.poll() is not None:
                raise Failure(f"neep vm ended with {self.process.returncode}\n{tail_of(self.log)}")
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return is_listening(self.control) and "a front-end is connected" in log.read()
        wait_until(is_connected, PATIENCE, "the start")
        self.started = processes.family(self.process.pid)

    def pid_of(self, *names):
        return next(pid for pid, name in self.started.items() if name.startswith(names) and pid != self.process.pid)

    def want_end(self, *statuses):
        """neep vm ends by itself with one of these; so does everything that it started."""
        status = self.process.wait(PATIENCE)
        if status not in statuses:
            raise Failure(f"neep vm ended with {status}, not {statuses}\n{tail_of(self.log)}")
        wait_until(lambda: not any(processes.exists(pid) for pid in self.started), PATIENCE, f"the end of {self.started}")

    def want_no_files(self):
        left = set(os.listdir(self.folder.name)) - {"disk.raw", "log"}
        if left:
            raise Failure(f"{left} is left")

    def close(self):
        end(self.process)
        self.folder.cleanup()


QEMU_NAMES = ("qemu-system", "ld-linux")


def qemu_killed(machine):
    os.kill(machine.pid_of(*QEMU_NAMES), signal.SIGKILL)
    machine.want_end(128 + signal.SIGKILL)
    machine.want_no_files()


def qemu_told_to_quit(machine):
    machine.process.stdin.write(QUIT)
    machine.process.stdin.flush()
    machine.want_end(0)
    machine.want_no_files()


def asked_to_end(machine):
    """QEMU ends with 0 when it takes the signal, which it does from some moment of its start on."""
    machine.process.send_signal(signal.SIGTERM)
    machine.want_end(0, 128 + signal.SIGTERM)
    machine.want_no_files()


def interrupted(machine):
    machine.process.send_signal(signal.SIGINT)
    machine.want_end(0, 128 + signal.SIGINT)
    machine.want_no_files()


def killed(machine):
    """Nobody is left to clear up its folder."""
    machine.process.kill()
    machine.want_end(-signal.SIGKILL)


ENDS = (qemu_killed, qemu_told_to_quit, asked_to_end, interrupted, killed)


def run_end(case, neep, qemu, front_end):
    machine = Machine(neep, qemu, front_end)
    try:
        machine.await_running()
        case(machine)
    finally:
        machine.close()


def run(tap, neep, qemu, front_end, name):
    for case in ENDS:
        tap.run(f"{name}_leaves_nothing_{case.__name__}", run_end, case, neep, qemu, front_end)
