#!/usr/bin/env python3
"""How long a guest takes to its login: with our device, and with QEMU's own virtio-gpu in its place, in turns.

Two measures: the clock, and the processor time of QEMU and of what serves the device, which other work on the machine
changes less. Prints a table; the status is 1 where our median is above the limit by both."""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "wayland"))

import processes
from machine import Console, Failure, end, spawn, tail_of

LOGIN = r"automatic login"
LOGIN_S = 600
LIMIT = 1.1
# What is written in one boot would make the next another one.
EXTRA = ["-snapshot"]


def own_command(options):
    return [os.path.join(options.build, "src/cli/neep"), "vm", "--qemu", options.qemu, "--accel", options.accel, "--memory",
            "2G", "--", *EXTRA]


def other_command(options):
    """QEMU as neep vm starts it, with its own device where ours was."""
    command = own_command(options)
    command.insert(2, "--dry-run")
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(options)).stdout
    words = shlex.split(printed.replace("\\\n", " "))
    words = words[words.index("done") + 1:]  # behind the wait for the device
    at = words.index("-chardev")
    words[at:at + 4] = ["-device", "virtio-gpu-pci"]
    return words


def environment(options):
    return {**os.environ, "XDG_CACHE_HOME": os.path.abspath(options.cache), "TERM": "dumb"}


def boot(command, options, folder):
    """Seconds by the clock and of processors until the guest's login."""
    log_path = os.path.join(folder, "log")
    with open(log_path, "wb") as log:
        start = time.monotonic()
        process = spawn(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(options))

    def check():
        if process.poll() is not None:
            raise Failure(f"{command[0]} ended with status {process.returncode}\n{tail_of(log_path)}")
    console = Console(process, os.path.join(folder, "console"), check)
    try:
        console.expect(LOGIN, LOGIN_S)
        clock = time.monotonic() - start
        used = sum(processes.ticks(pid) for pid in processes.family(process.pid))
    finally:
        console.close()
        end(process, 20)
    return clock, used / os.sysconf("SC_CLK_TCK")


def measure(options, folder):
    """[(clock, processor)] of both, by name."""
    commands = {"neep": own_command(options), "qemu": other_command(options)}
    results = {name: [] for name in commands}
    for number in range(options.rounds + 1):
        for name, command in commands.items():
            found = boot(command, options, folder)
            # The first of each fills the page cache.
            if number > 0:
                results[name].append(found)
                print(f"round {number}, {name}: {found[0]:.1f} s, {found[1]:.1f} s of processor time", file=sys.stderr)
    return results


def report(results):
    print(f"{'boot to login, median':32}{'neep':>10}{'virtio-gpu-pci':>18}{'ratio':>8}")
    ratios = []
    for index, title in enumerate(("clock, s", "processor time, s")):
        own, other = (statistics.median(found[index] for found in results[name]) for name in ("neep", "qemu"))
        ratios.append(own / other)
        print(f"{title:32}{own:10.1f}{other:18.1f}{own / other:8.2f}")
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--qemu", required=True, help="the QEMU, 11.0 or newer")
    parser.add_argument("--cache", required=True, help="XDG_CACHE_HOME of neep vm, with its guest")
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(prefix="neep-boot.") as folder:
        return 1 if min(report(measure(options, folder))) > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
