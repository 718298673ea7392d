#!/usr/bin/env python3
"""Guest boot test: boots a Debian kernel under stock QEMU with a vhost-user virtio-gpu backend and checks, pixel by pixel,
that what the guest draws comes out. Prints TAP. Needs the guest of scripts/guest-image.sh and tests/vm/expected.

Command templates may name {socket} (the vhost-user socket to serve) and {control} (a path for a control socket); the
screenshot command also {scanout} and {out}, the resize command {scanout}, {width}, {height} and {size}.
"""

import argparse
import dataclasses
import fnmatch
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import cases
from machine import DEVICES, Failure, Machine, Skip, end, spawn

KVM_PROBE_S = 8


@dataclasses.dataclass
class Peer:
    """What is known of a backend: per device it serves the features its guest must see, and where it fails and why."""

    features: dict
    known: dict


# QEMU's own backend stands in where neep is not built, and shows that the cases themselves are sound.
PEERS = {
    "neep": Peer(
        features={
            "gpu-pci": ["+edid"],
            "vga": ["+edid"],
            "generic": ["+edid", "+resource_blob"],
        },
        known={},
    ),
    "contrib": Peer(
        features={"gpu-pci": [], "vga": []},
        known={
            "driver_unbinds_and_binds": "it asserts that a second display socket never comes",
            "pause_in_the_middle_of_flips": "it asserts that a second display socket never comes",
            "pause_keeps_the_picture": "it asserts that a second display socket never comes",
            "picture_is_pixel_exact_at_an_odd_size": "it has no EDID before QEMU 8, and Linux rounds a mode without one",
            "reboot_draws_again": "it asserts that a second display socket never comes",
            "two_heads_show_their_parts": "it sends updates of the second head in coordinates of the resource",
        },
    ),
}


@dataclasses.dataclass
class Setup:
    """Everything that a machine needs to know and that does not change from case to case."""

    image: str
    qemu: str
    backend: str
    expected: str
    screenshot: str
    resize: str
    screenshot_always: bool
    peer: Peer
    accel: str
    slowness: float
    artifacts: str
    notes: list = dataclasses.field(default_factory=list)
    last: Machine = None

    def machine(self, device, **kwargs):
        self.last = ReportingMachine(self, device, **kwargs)
        return self.last

    def note(self, text):
        self.notes.append(text)

    def keep(self, path):
        """Saves a file of a failed case for a person."""
        if self.artifacts:
            os.makedirs(self.artifacts, exist_ok=True)
            kept = os.path.join(self.artifacts, f"{time.monotonic_ns()}-{os.path.basename(path)}")
            shutil.copy(path, kept)
            self.note(f"kept {kept}")

    def accel_words(self):
        return ["-accel", "kvm"] if self.accel == "kvm" else ["-accel", "tcg,thread=multi"]

    def kernel_words(self, run=""):
        append = "console=ttyS0 quiet panic=0" + (f" neep.run={run}" if run else "")
        return [
            *("-kernel", os.path.join(self.image, "vmlinuz")),
            *("-initrd", os.path.join(self.image, "initrd.cpio")),
            *("-append", append),
        ]


class ReportingMachine(Machine):
    """A machine that leaves its logs in the notes when its case fails."""

    def __exit__(self, kind, *rest):
        if kind is not None and issubclass(kind, Failure):
            self.setup.note(self.report())
        super().__exit__(kind, *rest)


def boots_with_kvm(setup):
    """True if a guest gets to user space under KVM: the device node alone promises nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = shlex.split(setup.qemu) + ["-accel", "kvm", "-nodefaults", "-no-user-config", "-display", "none"]
    command += ["-machine", "q35", "-m", "256M", "-no-reboot", "-serial", "stdio"]
    process = spawn(command + setup.kernel_words("true"), subprocess.DEVNULL, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        output, _ = process.communicate(timeout=KVM_PROBE_S)
        return b"neep-exit: 0" in output
    except subprocess.TimeoutExpired:
        return False
    finally:
        end(process)


def choose_accel(setup, wanted):
    """kvm or tcg; a probe's answer holds until this machine boots again."""
    if wanted != "auto":
        return wanted
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    note = os.path.join(setup.image, "accel")
    try:
        with open(note, encoding="ascii") as file:
            known, accel = file.read().split()
        if known == boot:
            return accel
    except (OSError, ValueError):
        pass
    accel = "kvm" if boots_with_kvm(setup) else "tcg"
    with open(note, "w", encoding="ascii") as file:
        file.write(f"{boot} {accel}\n")
    return accel


def run_case(setup, number, case, device):
    """Runs one case and prints its TAP line. Returns False if the run as a whole must fail."""
    name = f"{device}: {case.__name__}"
    setup.notes.clear()
    start = time.monotonic()
    known = setup.peer.known.get(case.__name__)
    todo = f" # TODO known of this backend: {known}" if known else ""
    failure = None
    try:
        case(setup, device)
    except Skip as reason:
        print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        return True
    except (Failure, OSError, subprocess.SubprocessError) as error:
        failure = error
    print(f"{'not ok' if failure else 'ok'} {number} - {name}{todo}", flush=True)
    print(f"# {time.monotonic() - start:.1f} s" + (f": {failure}" if failure else ""))
    for line in [] if known else "\n".join(setup.notes).splitlines():
        print(f"#   {line}")
    sys.stdout.flush()
    return failure is None or known is not None


def run_cases(setup, devices, patterns):
    chosen = [
        (case, device)
        for device in devices
        for case, where in cases.CASES
        if device in where and any(fnmatch.fnmatch(f"{device}:{case.__name__}", f"*{p}*") for p in patterns)
    ]
    print(f"1..{len(chosen)}")
    results = [run_case(setup, i + 1, case, device) for i, (case, device) in enumerate(chosen)]
    return 0 if chosen and all(results) else 1


def run_demo(setup, device, out):
    """Boots, has the picture drawn, writes what the device received to `out`, compares it with what the guest says."""
    start = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - start:5.1f} s] {text}", flush=True)

    say(f"booting a Debian guest with {DEVICES[device].split(',', maxsplit=1)[0]} ({setup.accel})")
    with setup.machine(device) as machine:
        machine.wait_ready()
        say("the guest is up and draws: page flips, a partial update, a moving cursor")
        machine.start("draw picture")
        told = machine.wait_drawn("picture")
        say(f"the guest says: {told['size']}, {told['flips']} flips at {told['rate']}/s, cursor at {told['cursor']}")
        shutil.copy(machine.expect_picture(told["size"]), out)
        machine.release()
    say(f"{os.path.abspath(out)}: identical to what the guest drew ({told['size']}, checksum {told['sum']})")
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True, help="folder made by scripts/guest-image.sh")
    parser.add_argument("--backend", required=True, help="command template of the backend")
    parser.add_argument("--expected", required=True, help="the program tests/vm/expected")
    parser.add_argument("--peer", choices=sorted(PEERS), default="neep", help="which backend that is (default: neep)")
    parser.add_argument("--qemu", default="qemu-system-x86_64", help="QEMU's command (default: %(default)s)")
    parser.add_argument("--screenshot", default="", help="command template that writes a scanout as PNG")
    parser.add_argument("--screenshot-always", action="store_true", help="use it even where QEMU has a display")
    parser.add_argument("--resize", default="", help="command template that changes the size of a scanout")
    parser.add_argument("--device", action="append", choices=sorted(DEVICES), help="repeatable (default: all of the peer)")
    parser.add_argument("--case", action="append", help="part of a case's name, with wildcards; repeatable (default: all)")
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), default="auto")
    parser.add_argument("--slowness", type=float, default=1.0, help="factor on all time limits")
    parser.add_argument("--artifacts", default="", help="folder that keeps the wrong pictures")
    parser.add_argument("--demo", metavar="OUT.png", help="draw once and write what the device received")
    return parser.parse_args()


def setup_of(args):
    setup = Setup(
        image=os.path.abspath(args.image),
        qemu=args.qemu,
        backend=args.backend,
        expected=os.path.abspath(args.expected),
        screenshot=args.screenshot,
        resize=args.resize,
        screenshot_always=args.screenshot_always,
        peer=PEERS[args.peer],
        accel="tcg",
        slowness=args.slowness,
        artifacts=args.artifacts,
    )
    setup.accel = choose_accel(setup, args.accel)
    return setup


def main():
    # Signals end the run through the same path as anything else: machines are ended and their folders removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    args = arguments()
    setup = setup_of(args)
    if not args.demo:
        return run_cases(setup, args.device or list(setup.peer.features), args.case or ["*"])
    try:
        return run_demo(setup, (args.device or ["gpu-pci"])[0], args.demo)
    except (Failure, Skip) as error:
        print(f"demo: {error}", *setup.notes, sep="\n", file=sys.stderr)
        return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
