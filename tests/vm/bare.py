#!/usr/bin/env python3
"""Shows the picture in the guest without an operating system (tests/vm/bare) under every QEMU, with KVM and without it, and
compares it pixel by pixel; prints TAP. It runs under a KVM that starts no Linux kernel, which QEMU 7.2 needs: that serves
vhost-user-gpu under KVM only."""

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile

from boot import PEERS, Setup, qemu_version
from machine import Console, Failure, Machine, Skip, end, spawn

DEVICES = ("gpu-pci", "vga")
ACCELS = ("kvm", "tcg")
SIZE = "1280x800"
OPTIONS = "xres=1280,yres=800"
KVM_PROBE_S = 15


@dataclasses.dataclass
class Bare(Setup):
    """The same limits and paths, another guest."""

    picture: str = ""

    def accel_words(self):
        return ["-accel", self.accel]

    def kernel_words(self, run=""):
        return ["-kernel", self.image, "-initrd", self.picture]


def kvm_runs_it(kernel):
    """True if the guest comes up under KVM at all: without a device it says so and stops."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = ["qemu-system-x86_64", "-accel", "kvm", "-nodefaults", "-no-user-config", "-display", "none"]
    process = spawn(command + ["-serial", "stdio", "-kernel", kernel], subprocess.DEVNULL, stdout=subprocess.PIPE)
    console = Console(process, os.devnull, lambda: None)
    try:
        return console.expect("bare: up", KVM_PROBE_S) is not None
    except Failure:
        return False
    finally:
        console.close()
        end(process)


def show(machine):
    """Waits for the guest to have drawn and compares what QEMU's display has."""
    told = machine.console.expect(r"bare: (done \S+|error .*)", machine.limit(60)).group(1)
    if told != f"done {SIZE}":
        raise Failure(f"the guest says: {told}")
    machine.expect_picture(SIZE)
    machine.check_alive()


def run_case(setup, device):
    machine = Machine(setup, device, options=OPTIONS, memory="128M")
    try:
        machine.start()
        show(machine)
        machine.reset()
        show(machine)
    except Failure:
        setup.note(machine.report())
        raise
    finally:
        machine.close()


def judge(setup, device, name):
    """Runs a case; returns whether it held, or None with a line when this machine cannot have it."""
    setup.notes.clear()
    try:
        run_case(setup, device)
    except Skip as reason:
        print(f"# not run: {name}: {reason}", flush=True)
        return None
    except (Failure, OSError) as error:
        setup.notes.insert(0, str(error))
        return False
    return True


def run_all(setup, args):
    results = []
    accels = ACCELS
    if not kvm_runs_it(setup.image):
        print("# not run: what is under KVM: it does not run even this guest here", flush=True)
        accels = ("tcg",)
    for qemu, device, accel in itertools.product(args.qemu or ["qemu-system-x86_64"], DEVICES, accels):
        setup.qemu, setup.accel = qemu, accel
        name = f"QEMU {qemu_version(qemu)} {device}, {accel}"
        held = judge(setup, device, name)
        if held is None:
            continue
        results.append(held)
        print(f"{'ok' if held else 'not ok'} {len(results)} - {name}: picture_is_pixel_exact_without_a_kernel", flush=True)
        for line in "\n".join(setup.notes).splitlines():
            print(f"#   {line}", flush=True)
    print(f"1..{len(results)}" if results else "1..0 # SKIP no QEMU here serves the device", flush=True)
    return 0 if all(results) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", required=True, help="the program tests/vm/bare/bare")
    parser.add_argument("--backend", required=True, help="command template of the backend")
    parser.add_argument("--expected", required=True, help="the program tests/vm/expected")
    parser.add_argument("--qemu", action="append", help="QEMU's command; repeatable (default: the host's)")
    parser.add_argument("--artifacts", default="", help="folder that keeps the wrong pictures")
    args = parser.parse_args()
    setup = Bare(
        image=os.path.abspath(args.kernel),
        qemu="",
        backends=dict.fromkeys(DEVICES, args.backend),
        expected=os.path.abspath(args.expected),
        screenshot="",
        resize="",
        stats="",
        screenshot_always=False,
        peer=PEERS["neep"],
        accel="tcg",
        slowness=1.0,
        artifacts=args.artifacts,
    )
    with tempfile.TemporaryDirectory(prefix="neep-bare.") as folder:
        setup.picture = os.path.join(folder, "picture.raw")
        subprocess.run([setup.expected, "--size", SIZE, "--raw", setup.picture], check=True)
        return run_all(setup, args)


if __name__ == "__main__":
    sys.exit(main())
