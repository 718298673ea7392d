"""Host-visible memory of a guest of `neep vm` while processors write to it, and what is left of it."""

import json
import re
import subprocess

import processes
from machine import Failure, wait_until

PROGRAM = "race"
# Under a kernel that lets root map what a driver has; for QEMU's -append.
KERNEL_WORD = "iomem=relaxed"
WRITERS = 2
SECONDS, LONG_SECONDS = 8, 120
LEAST_CYCLES, LONG_LEAST_CYCLES = 10, 1000
PATIENCE = 240
KERNEL_COMPLAINTS = r"BUG|WARNING:|Oops|general protection|virtio_gpu|\[drm\].*(ERROR|error)"


class Memory:
    """The cases of one guest."""

    def __init__(self, whole, is_long):
        self.whole = whole
        self.guest = whole.guest
        self.seconds = LONG_SECONDS if is_long else SECONDS
        self.least = LONG_LEAST_CYCLES if is_long else LEAST_CYCLES

    def stats(self):
        command = [self.whole.neep, "stats", "--control", self.whole.control]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout)

    def kernel_log(self):
        """What the kernel has complained of that could be ours."""
        lines = self.guest.run("dmesg --level=emerg,alert,crit,err,warn", PATIENCE)
        return [line for line in lines if re.search(KERNEL_COMPLAINTS, line)]

    def race(self, way):
        """One run of the guest's program: what it counts. The device and the guest are as before when it ends."""
        self.guest.run("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug")
        device = self.whole.device()
        log, stats, fds = self.kernel_log(), self.stats(), processes.fd_count(device)
        lines = self.guest.run(f"/mnt/{PROGRAM} {way} {self.seconds} {WRITERS}", PATIENCE + self.seconds)
        told = {key: int(value) for line in lines for key, value in re.findall(r"(\w+)=(\d+)", line) if "neep-race:" in line}
        if told.get("cycles", 0) < self.least or told["bursts"] == 0:
            raise Failure(f"only {told}\n" + "\n".join(lines))
        self.await_nothing_left(stats, fds, device)
        new = self.kernel_log()[len(log):]
        if new:
            raise Failure("the kernel says\n" + "\n".join(new))
        return told

    def await_nothing_left(self, before, fds, device):
        """The kernel gives things back a little after the program's end."""
        kept = ("resources", "contexts", "maps", "pending", "bytes")

        def is_back():
            now = self.stats()
            return all(now[key] <= before[key] for key in kept) and processes.fd_count(device) <= fds
        wait_until(is_back, PATIENCE, f"a return to {before} and {fds} descriptors")
        # The kernel prints this list without its lock: only when nothing changes it.
        self.guest.run("! grep ': used' /sys/kernel/debug/dri/0/virtio-gpu-host-visible-mm")

    def maps(self):
        told = self.race("maps")
        if told["faults"] == 0:
            raise Failure(f"no writer was ever late: {told}")
        return f"{told['cycles']} cycles, {told['bursts']} bursts of writes, {told['faults']} ended by a fault"

    def window(self):
        told = self.race("window")
        if told["elsewhere"] < told["cycles"] // 2:
            raise Failure(f"the next blob was too seldom elsewhere: {told}")
        return f"{told['cycles']} cycles, {told['bursts']} bursts of writes"


def run(tap, whole, is_long):
    memory = Memory(whole, is_long)
    tap.run("guest_writers_never_reach_the_next_blob", memory.maps)
    tap.run("guest_writes_to_holes_of_the_window_go_nowhere", memory.window)
