#!/usr/bin/env python3
"""What `neep vm` makes of each QEMU and each of its front-ends: the table of docs/architecture.md, tried; prints TAP.

Where a guest boots, it draws, its picture is compared, and it shuts down. Every machine ends in every way, too."""

import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wayland"))

import mode_cases
import vm_ends
from boot import qemu_version
from guest_shell import Guest, ProgramDisk
from machine import Failure
from tap import Tap

FRONT_ENDS = ("gpu", "vga", "generic")
PATIENCE = 120
FEATURES_2D, FEATURES_3D = {"+edid"}, {"+virgl", "+edid", "+resource_blob", "+host_visible", "+context_init"}
# Of Debian its kernel, its drivers and a shell, which is enough for a screen and is there soon.
MORE_WORDS = "init=/bin/bash"
OWN_GUEST = "neep/vm/debian-2"  # in the cache, as src/cli/vm_guest.c has it
KERNEL_WORDS = f"root=/dev/vda rw console=ttyS0 quiet no_timer_check {MORE_WORDS}"
SET_UP = "modprobe virtio_gpu; poweroff() { sync; echo o >/proc/sysrq-trigger; sleep 60; }"


class Pair:
    """One QEMU with one front-end."""

    def __init__(self, options, qemu, front_end):
        self.options = options
        self.build = os.path.abspath(options.build)
        self.neep = os.path.join(self.build, "src/cli/neep")
        self.keep = os.path.abspath(options.keep)
        self.qemu = qemu
        self.version = qemu_version(qemu)
        self.major = self.version.split(".", maxsplit=1)[0]
        self.front_end = front_end
        self.name = f"{front_end}_of_qemu_{self.version}"
        self.control = None
        self.guest = None

    def command(self, *words):
        return [self.neep, "vm", "--qemu", self.qemu, "--front-end", self.front_end, "--accel", "tcg", *words]

    def ask(self, *words):
        """A neep vm that is expected to end at once: its status and what it says."""
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.abspath(self.options.cache)}
        done = subprocess.run(self.command("--display", "none", *words), capture_output=True, text=True, timeout=PATIENCE,
                              env=environment, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stderr

    def refused(self):
        """There is no such device in this QEMU, or not the one that is meant."""
        status, text = self.ask("--dry-run")
        if status != 1 or f"QEMU {self.version} has no " not in text:
            raise Failure(f"status {status}\n{text}")
        return text.strip()

    def wants_kvm(self):
        """Said before QEMU says it and ends."""
        status, text = self.ask()
        if "requires kvm" not in text or "under KVM only" not in text or status != 1:
            raise Failure(f"status {status}\n{text}")
        return f"QEMU {self.version} serves it under KVM only"

    def machine(self, folder):
        """The command and QEMU's words. The guest's own disk is as before when it ends: by -snapshot, or below a qcow2."""
        display = [] if self.front_end == "generic" else ["--display", "none"]
        command = self.command(*display, "--control", self.control, "--memory", "1G")
        if self.front_end != "gpu":
            return [*command, "--append", MORE_WORDS], ["-snapshot"]
        guest = os.path.join(os.path.abspath(self.options.cache), OWN_GUEST)
        disk = os.path.join(folder, "guest.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", os.path.join(guest, "disk"), disk],
                       check=True)
        return [*command, disk], ["-kernel", os.path.join(guest, "vmlinuz"), "-initrd", os.path.join(guest, "initrd.img"),
                                  "-append", KERNEL_WORDS]

    def boots(self):
        with tempfile.TemporaryDirectory(prefix="neep-front.") as folder:
            self.control = os.path.join(folder, "control")
            disk = ProgramDisk(folder, [os.path.join(self.build, "tests/vm", mode_cases.PROGRAM)])
            command, more = self.machine(folder)
            words = [*disk.words(), *more]
            disk.words = lambda: words
            environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "XDG_CACHE_HOME": os.path.abspath(self.options.cache)}
            self.guest = Guest(command, disk, environment, self.keep)
            try:
                self.guest.start()
                self.guest.run(SET_UP)
                told = self.work()
                status = self.guest.stop()
                left = [name for name in os.listdir(folder) if name.startswith(("neep-vm", "control"))]
                if status != 0 or left:
                    raise Failure(f"neep vm ended with {status} and left {left}")
                return told
            finally:
                self.guest.close()

    def work(self):
        """What the guest has and shows."""
        log = "\n".join(self.guest.run("dmesg | grep -F '[drm] features'"))
        features = set(re.findall(r"\+\w+", log))
        if features != (FEATURES_3D if self.front_end == "generic" else FEATURES_2D):
            raise Failure(f"the guest has {features}")
        modes = mode_cases.Modes(self)
        modes.start("modes 1")
        size = self.guest.console.expect(mode_cases.READY.format("mode"), mode_cases.PATIENCE).group(1)
        modes.await_picture(size)
        modes.finish()
        return f"{' '.join(sorted(features))}, {size}"

    def run(self, tap):
        if self.front_end == "generic" and int(self.major) < 11:
            tap.run(f"{self.name}_is_refused", self.refused)
        elif int(self.major) < 10:
            tap.run(f"{self.name}_wants_kvm", self.wants_kvm)
        else:
            tap.run(f"{self.name}_boots_linux", self.boots)
            vm_ends.run(tap, self.neep, self.qemu, self.front_end, self.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--qemu", required=True, action="append", help="repeatable")
    parser.add_argument("--cache", required=True, help="XDG_CACHE_HOME of neep vm: its guest is there")
    parser.add_argument("--keep", required=True, help="logs and pictures go here")
    parser.add_argument("--only", default="", help="only pairs with this in their name")
    options = parser.parse_args()
    os.makedirs(options.keep, exist_ok=True)
    tap = Tap()
    for qemu in options.qemu:
        for front_end in FRONT_ENDS:
            pair = Pair(options, qemu, front_end)
            if options.only in pair.name:
                pair.run(tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
