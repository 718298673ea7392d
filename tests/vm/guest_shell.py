"""A guest of `neep vm`: its shell on the serial console, and a disk of programs that comes back with what they wrote."""

import os
import re
import shutil
import signal
import subprocess
import tempfile

from machine import Console, Failure, end, spawn, tail_of

LOGIN_S = 900  # under TCG, on a busy machine
MARK = "neep-exit:"
# Typed while the guest boots, it loses its beginning wherever a login empties the line's buffer. A quote left over would stay
# open for ever, so it has none, and prints what it does not contain.
READY = "neep-ready"
ASK_READY = r"TERM=dumb; stty -echo; bind set\ enable-bracketed-paste\ off; echo neep-\ready"


class ProgramDisk:
    """An ext4 disk with the given files and folders in it; the guest mounts it at /mnt and writes to /mnt/out."""

    def __init__(self, folder, files):
        self.path = os.path.join(folder, "programs")
        content = os.path.join(folder, "content")
        os.makedirs(os.path.join(content, "out"))
        for file in files:
            if os.path.isdir(file):
                shutil.copytree(file, os.path.join(content, os.path.basename(file)), symlinks=True)
            else:
                shutil.copy(file, content)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, self.path, "256M"], check=True)
        shutil.rmtree(content)

    def words(self):
        return ["-drive", f"if=virtio,format=raw,file={self.path}"]

    def take_out(self, folder):
        """What the guest wrote, once it has ended."""
        subprocess.run(["debugfs", "-R", f"rdump /out {folder}", self.path], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return os.path.join(folder, "out")


class Guest:
    """One `neep vm`, from start() to close().

    command  the words of `neep vm` and its options
    disk     a ProgramDisk
    env      its environment
    keep     a folder for logs
    words    more options of QEMU
    """

    def __init__(self, command, disk, env, keep, words=()):
        self.command = [*command, "--", *disk.words(), *words]
        self.disk = disk
        self.env = env
        self.keep = keep
        self.process = None
        self.console = None
        self.folder = None

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="neep-vm.")
        log_path = os.path.join(self.keep, "neep-vm.log")
        with open(log_path, "wb") as log:
            # TERM is what the guest's shell asks nothing of.
            self.process = spawn(self.command, log, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, env={**self.env, "TERM": "dumb"})
        self.console = Console(self.process, os.path.join(self.keep, "console.log"), self.check)
        self.await_shell()

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"neep vm ended with status {self.process.returncode}\n"
                          + tail_of(os.path.join(self.keep, "neep-vm.log")))

    def await_shell(self):
        """Asks until a shell answers: what is typed before the login is lost."""
        limit = LOGIN_S
        while True:
            self.console.send(ASK_READY)
            try:
                self.console.expect(READY, 5)
                break
            except Failure as error:
                limit -= 5
                if limit <= 0 or self.process.poll() is not None:
                    raise Failure(f"{error}; the last that it said:\n" + "\n".join(self.console.seen[-15:])) from error
        # Answers to what was asked before the last one.
        self.run("mkdir -p /mnt; mountpoint -q /mnt || mount /dev/vdb /mnt")

    def await_drivers(self):
        """On a busy machine the shell is there before the device's driver."""
        self.run(f"udevadm settle -t {LOGIN_S}; ls /dev/dri/renderD128", LOGIN_S)

    def send(self, command):
        self.console.send(command)

    def run(self, command, patience=180, status=0):
        """Runs a command; its lines of output."""
        self.console.seen.clear()
        self.console.send(f"{command}; echo {MARK[:5]}''{MARK[5:]}$?")
        found = self.console.expect(MARK + r"(\d+)", patience)
        lines = [re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", line) for line in self.console.seen[:-1]]
        if status is not None and int(found.group(1)) != status:
            raise Failure(f"{command}: status {found.group(1)}\n" + "\n".join(lines[-15:]))
        return lines

    def stop(self, patience=180):
        """Shuts the guest down; neep vm's exit status."""
        self.console.send("sync; poweroff")
        try:
            self.console.expect("neep-never", patience)
        except Failure:
            pass
        return self.process.wait(60)

    def children(self):
        """{process id: name} of what neep vm has started."""
        listing = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "pid=,comm="], capture_output=True, text=True,
                                 check=True).stdout
        return {int(pid): name for pid, name in (line.split(None, 1) for line in listing.splitlines())}

    def close(self):
        if self.console is not None:
            self.console.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        end(self.process)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
