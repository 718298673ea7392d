#!/usr/bin/env python3
"""Guest boot test: boots a Debian kernel under stock QEMU with a vhost-user virtio-gpu backend and checks, pixel by pixel,
that what the guest draws comes out. Prints TAP. Needs the guest of scripts/guest-image.sh and tests/vm/expected.

Command templates may name {socket} (the vhost-user socket to serve), {control} (a path for a control socket) and {display}
(qemu where QEMU has the display, else headless); the screenshot command also {scanout} and {out}, the resize command
{scanout}, {width}, {height} and {size}.
"""

import argparse
import contextlib
import dataclasses
import fnmatch
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import cases
from machine import DEVICES, Failure, Machine, Skip, end, is_generic, spawn

KVM_PROBE_S = 8
CANNOT = 77


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
            "generic-3d": ["+virgl", "+edid", "+resource_blob", "+host_visible", "+context_init"],
        },
        known={
            "live_blobs_in_memory_slots_end_with_a_reboot": "QEMU 11.1 forgets the maps at a reset, then crashes when it "
            "withdraws their slots at the next start",
        },
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
    backends: dict
    expected: str
    screenshot: str
    resize: str
    stats: str
    screenshot_always: bool
    peer: Peer
    accel: str
    slowness: float
    artifacts: str
    notes: list = dataclasses.field(default_factory=list)
    idle: Machine = None
    idle_key: tuple = ()

    @contextlib.contextmanager
    def machine(self, device, **kwargs):
        """A machine of that kind for one case. One that came through the case before unharmed is used again."""
        key = (self.qemu, device, *sorted(kwargs.items()))
        machine = self.take_idle(key)
        if machine is None:
            machine = Machine(self, device, **kwargs)
            machine.start()
        try:
            yield machine
        except BaseException as error:
            if isinstance(error, Failure):
                self.note(machine.report())
            machine.close()
            raise
        if machine.is_ready and not machine.is_spent:
            self.idle, self.idle_key = machine, key
        else:
            machine.close()

    def take_idle(self, key):
        """The idle machine if it is of the wanted kind; one of another kind is ended."""
        machine, self.idle = self.idle, None
        if machine is not None and self.idle_key != key:
            machine.close()
            machine = None
        return machine

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


def qemu_version(qemu):
    """The version of a QEMU command as its first line of --version says it."""
    try:
        done = subprocess.run(shlex.split(qemu) + ["--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"boot.py: cannot run '{qemu}': {error}")
    match = re.search(r"version (\d+(?:\.\d+)+)", done.stdout)
    return match.group(1) if match else "unknown"


def why_not(setup, device):
    """The reason why this QEMU cannot have the device here, or None."""
    try:
        with setup.machine(device):
            return None
    except Skip as reason:
        return str(reason)
    except Failure:
        return None


@dataclasses.dataclass
class Run:
    """One case on one device under one QEMU."""

    case: callable
    device: str
    qemu: str
    version: str

    def name(self):
        return f"QEMU {self.version} {self.device}: {self.case.__name__}"


def plan_runs(setup, args):
    """What is to be run, oldest QEMU first. What this machine cannot have is not in it, and is told on a line."""
    runs = []
    for qemu in args.qemu or ["qemu-system-x86_64"]:
        setup.qemu = qemu
        version = qemu_version(qemu)
        for device in args.device or list(setup.peer.features):
            reason = why_not(setup, device)
            if reason is not None:
                print(f"# not run: QEMU {version} {device}: {reason}", flush=True)
                continue
            runs += [Run(case, device, qemu, version) for case, where in cases.CASES if device in where]
    patterns = args.case or ["*"]
    runs = [run for run in runs if any(fnmatch.fnmatch(run.name(), f"*{pattern}*") for pattern in patterns)]
    return quick_runs(runs) if args.quick else runs


def quick_runs(runs):
    """Each case once per kind of device, under the newest QEMU that serves it; the essential ones everywhere."""
    last = {}
    for run in runs:
        if run.device != "vga":
            last[(run.case, is_generic(run.device))] = run
    runs = [run for run in runs if run.case not in cases.LONG]
    return [run for run in runs if run.case in cases.ESSENTIAL or any(run is other for other in last.values())]


def run_case(setup, number, run):
    """Runs one case and prints its TAP line. Returns False if the whole must fail."""
    setup.notes.clear()
    setup.qemu = run.qemu
    start = time.monotonic()
    known = setup.peer.known.get(run.case.__name__)
    todo = f" # TODO known of this backend: {known}" if known else ""
    failure = None
    try:
        run.case(setup, run.device)
    except (Failure, Skip, OSError, subprocess.SubprocessError) as error:
        failure = error
    print(f"{'not ok' if failure else 'ok'} {number} - {run.name()}{todo}", flush=True)
    print(f"# {time.monotonic() - start:.1f} s" + (f": {failure}" if failure else ""))
    for line in [] if known else "\n".join(setup.notes).splitlines():
        print(f"#   {line}")
    sys.stdout.flush()
    return failure is None or known is not None


def run_cases(setup, args):
    runs = plan_runs(setup, args)
    print(f"1..{len(runs)}" if runs else "1..0 # SKIP no QEMU here serves the backend", flush=True)
    try:
        results = [run_case(setup, i + 1, run) for i, run in enumerate(runs)]
    finally:
        setup.take_idle(None)
    return 0 if all(results) else 1


def run_probe(setup, args):
    """Says whether the QEMU can have the device: 0, or CANNOT with the reason."""
    reason = why_not(setup, (args.device or ["gpu-pci"])[0])
    if reason is not None:
        print(reason)
    return 0 if reason is None else CANNOT


def run_demo(setup, device, out):
    """Boots, has the picture drawn, writes what the device received to `out`, compares it with what the guest says."""
    start = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - start:5.1f} s] {text}", flush=True)

    say(f"booting a Debian guest with {DEVICES[device].split(',', maxsplit=1)[0]} ({setup.accel})")
    with setup.machine(device) as machine:
        machine.wait_ready()
        say("the guest is up and draws: page flips, a partial update, a moving cursor")
        machine.run("draw picture")
        told = machine.wait_drawn("picture")
        say(f"the guest says: {told['size']}, {told['flips']} flips at {told['rate']}/s, cursor at {told['cursor']}")
        if setup.screenshot and not is_generic(device):
            machine.expect_picture(told["size"])
            say("QEMU's display shows it, pixel by pixel; taking the device's own picture")
            setup.screenshot_always = True
        shutil.copy(machine.expect_picture(told["size"]), out)
        machine.is_spent = True
    say(f"{os.path.abspath(out)}: identical to what the guest drew ({told['size']}, checksum {told['sum']})")
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True, help="folder made by scripts/guest-image.sh")
    parser.add_argument("--backend", required=True, help="command template of the backend")
    parser.add_argument("--backend-3d", default="", help="command template of a backend with a renderer (default: none)")
    parser.add_argument("--expected", required=True, help="the program tests/vm/expected")
    parser.add_argument("--peer", choices=sorted(PEERS), default="neep", help="which backend that is (default: neep)")
    parser.add_argument("--qemu", action="append", help="QEMU's command, oldest first; repeatable (default: the host's)")
    parser.add_argument("--quick", action="store_true", help="each case once, the essential ones everywhere")
    parser.add_argument("--probe", action="store_true", help="only tell whether QEMU can have the device (else status 77)")
    parser.add_argument("--screenshot", default="", help="command template that writes a scanout as PNG")
    parser.add_argument("--screenshot-always", action="store_true", help="use it even where QEMU has a display")
    parser.add_argument("--resize", default="", help="command template that changes the size of a scanout")
    parser.add_argument("--stats", default="", help="command template that prints the device's counters as JSON")
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
        qemu=(args.qemu or ["qemu-system-x86_64"])[0],
        backends=dict.fromkeys(DEVICES, args.backend) | {"generic-3d": args.backend_3d},
        expected=os.path.abspath(args.expected),
        screenshot=args.screenshot,
        resize=args.resize,
        stats=args.stats,
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
    if args.probe:
        return run_probe(setup, args)
    if not args.demo:
        return run_cases(setup, args)
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
