"""Modes of a guest's screen: set by the guest, and changed by `neep resize` below a program and below a compositor."""

import os
import subprocess

import picture
import processes
from machine import Failure

PROGRAM = "draw"
PATIENCE = 240
MODES = 5  # are tried of what the guest is offered
READY = r"neep-draw: ready scene={} size=(\d+x\d+)"


class Modes:
    """The cases of one guest."""

    def __init__(self, whole):
        self.whole = whole
        self.guest = whole.guest
        self.path = os.path.join(whole.keep, "mode.png")
        self.expected = os.path.join(whole.build, "tests/vm/expected")

    def host(self, *words):
        return subprocess.run([self.whole.neep, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)

    def screenshot(self):
        return self.host("screenshot", "--control", self.whole.control, self.path)

    def resize(self, size):
        done = self.host("resize", "--control", self.whole.control, "0", size)
        if done.returncode != 0:
            raise Failure(f"neep resize {size}: {done.stderr}")

    def await_picture(self, size):
        """The screen comes to hold what the guest drew, pixel by pixel, in that size."""
        compare = [self.expected, "--size", size, "--compare", self.path]
        seen = []

        def is_same():
            shot = self.screenshot()
            done = shot if shot.returncode else subprocess.run(compare, capture_output=True, text=True, check=False)
            seen.append(done.stdout + done.stderr)
            return done.returncode == 0
        if processes.await_true(is_same, PATIENCE, 0.2) is None:
            raise Failure(f"{size}: {seen[-1].strip()}; see {self.path}")

    def finish(self):
        """The program that draws ends, at the latest with the line that it may still wait for."""
        self.guest.send("")
        self.guest.run("true", PATIENCE)

    def start(self, command):
        self.guest.console.seen.clear()
        self.guest.send(f"/mnt/{PROGRAM} {command}")

    def each(self):
        """Sizes that the guest sets one after the other, each drawn by it and compared."""
        sizes = []
        self.start(f"modes {MODES}")
        for _ in range(MODES):
            size = self.guest.console.expect(READY.format("mode"), PATIENCE).group(1)
            self.await_picture(size)
            sizes.append(size)
            self.guest.send("")
        shown = int(self.guest.console.expect(r"neep-draw: modes shown=(\d+)", PATIENCE).group(1))
        self.finish()
        if shown != MODES or len(set(sizes)) != MODES:
            raise Failure(f"shown: {shown}, sizes: {sizes}")
        return ", ".join(sizes)

    def resized(self):
        """The guest is told, finds that the new size is the preferred one, and draws in it."""
        self.start("resize")
        before = self.guest.console.expect(READY.format("before-resize"), PATIENCE).group(1)
        self.await_picture(before)
        size = "1360x768" if before != "1360x768" else "1600x900"
        self.resize(size)
        after = self.guest.console.expect(READY.format("resized"), PATIENCE).group(1)
        if after != size:
            raise Failure(f"after neep resize {size} the guest draws {after}")
        self.await_picture(size)
        self.finish()
        return f"{before} to {size}"

    def compositor(self):
        """A compositor starts in the new size, and takes another one when the screen is unplugged and plugged again."""
        self.resize("1024x600")
        self.guest.send("LIBSEAT_BACKEND=builtin weston --backend=drm --renderer=pixman --continue-without-input "
                        "--idle-time=0 --socket=modes >/tmp/weston-modes.log 2>&1 &")
        try:
            self.await_desktop("1024x600")
            self.resize("0x0")
            self.await_log("[Dd]isconnect|[Rr]emov|disabl")
            self.resize("1440x900")
            self.await_desktop("1440x900")
        finally:
            self.guest.run("pkill weston; for i in $(seq 100); do pgrep weston >/dev/null || break; sleep 0.2; done",
                           PATIENCE, status=None)

    def await_log(self, words):
        self.guest.run(f"for i in $(seq 200); do grep -qE '{words}' /tmp/weston-modes.log && break; sleep 0.2; done; "
                       f"grep -E '{words}' /tmp/weston-modes.log", PATIENCE)

    def await_desktop(self, size):
        """Something with colours, in that size: what desktops look like is theirs."""
        want = tuple(int(side) for side in size.split("x"))
        seen = [None]

        def has_desktop():
            if os.path.exists(self.path):
                os.unlink(self.path)
            self.screenshot()
            seen[0] = picture.read(self.path)[:2] if os.path.exists(self.path) else None
            return seen[0] == want and len(picture.colors(self.path)) > 50
        if processes.await_true(has_desktop, PATIENCE, 1) is None:
            raise Failure(f"no desktop of {size}: {seen[0]}, see {self.path}\n"
                          + "\n".join(self.guest.run("tail -n 20 /tmp/weston-modes.log", status=None)))


def run(tap, whole):
    modes = Modes(whole)
    tap.run("guest_sets_each_mode_that_it_is_offered", modes.each)
    tap.run("guest_follows_a_resize_from_the_host", modes.resized)
    tap.run("guest_compositor_follows_a_screen_that_is_plugged_anew", modes.compositor)
