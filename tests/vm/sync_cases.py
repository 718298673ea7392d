"""Cases of explicit synchronization: timelines of a real kernel, whose points a program of the guest and the guest's proxy signal for
each other."""

import picture
import processes
from machine import Failure

PROGRAM = "tests/wayland/wl-sync"
PATIENCE = 240


class Late:
    """The program in the guest. Its input is a pipe that stays open, its output a file."""

    def __init__(self, whole):
        self.whole = whole
        whole.guest.run("mkfifo /tmp/sync; exec 9<>/tmp/sync")
        whole.guest.send("WAYLAND_DEBUG=1 /mnt/neep-wayland -- /mnt/wl-sync </tmp/sync >/mnt/out/sync 2>/mnt/out/sync.log &")

    def await_word(self, word):
        """The guest waits for it."""
        has_said = f"grep -qx {word} /mnt/out/sync"
        try:
            self.whole.guest.run(f"for i in $(seq {PATIENCE}); do {has_said} && break; sleep 1; done; {has_said}", 2 * PATIENCE)
        except Failure as failure:
            said = self.whole.guest.run("tail /mnt/out/sync.log", status=None)
            raise Failure(f'it does not say "{word}": {failure}\n' + "\n".join(said)) from None

    def go_on(self):
        self.whole.guest.run("echo go >&9")


def late(whole):
    program = Late(whole)
    program.await_word("first")
    first = whole.shoot("sync-first")
    program.await_word("waiting")
    if not picture.is_same(whole.shoot("sync-waiting"), first):
        raise Failure("the screen has changed before the picture is drawn")
    program.go_on()
    program.await_word("second")
    second = whole.shoot("sync-second")
    if picture.is_same(second, first):
        raise Failure("the second picture is not seen")
    # Two windows, of which one waits for the other.
    for word in ("other", "both"):
        program.go_on()
        program.await_word(word)
    program.go_on()
    program.await_word("released")
    if processes.await_true(lambda: picture.is_same(whole.shoot("sync-last"), second), PATIENCE, 0.5) is None:
        raise Failure("the last picture is not seen")
    whole.guest.run("exec 9<&-; pkill wl-sync; sleep 1", status=None)


def run(tap, whole):
    tap.run("guest_program_and_proxy_synchronize_by_timelines", late, whole)
