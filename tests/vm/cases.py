"""The cases of the guest boot test. Each takes a Setup and a device and raises Failure when it does not hold; it leaves the
guest waiting for commands, or says that the machine is spent."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from machine import Failure, is_generic, wait_until

DISPLAY_DEVICES = ("gpu-pci", "vga")
ALL_DEVICES = ("gpu-pci", "vga", "generic")
RENDERER = ("generic-3d",)
WINDOW = ("--hostmem=256M",)
WITHOUT_SLOTS = (*WINDOW, "--no-mem-slots")
RING_PACKED = 34


def want(got, expected, what):
    if got != expected:
        raise Failure(f"{what}: got {got}, want {expected}")


def expected_sum(setup, size):
    return subprocess.run([setup.expected, "--size", size, "--sum"], capture_output=True, text=True, check=True).stdout.strip()


def head_mode(machine, index=0):
    return machine.console.find(rf"neep-draw: head index={index} mode=(\d+x\d+)")[-1].group(1)


def draw(machine, command="draw picture", scene="picture"):
    """Has the guest draw, then checks every pixel; the scene stays up."""
    machine.run(command)
    told = machine.wait_drawn(scene)
    want(told["sum"], expected_sum(machine.setup, told["size"]), "checksum of what the guest drew")
    machine.expect_picture(told["size"])
    return told


def picture_is_pixel_exact(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        told = draw(machine)
        want(told["flips"], "60", "page flips")
        machine.release()
        machine.check_alive()


def picture_is_pixel_exact_at_an_odd_size(setup, device):
    options, words = ("xres=1366,yres=771", ()) if not is_generic(device) else ("", ("--xres=1366", "--yres=771"))
    with setup.machine(device, options=options, backend=words) as machine:
        machine.wait_ready()
        draw(machine)
        want(head_mode(machine), "1366x771", "mode")
        machine.release()


def features_reach_the_guest(setup, device):
    with setup.machine(device, backend=WINDOW if device in RENDERER else ()) as machine:
        machine.wait_ready()
        lines = machine.console.find(r"neep-dmesg: .*\[drm\] features: (.*)")
        got = " ".join(match.group(1) for match in lines).split()
        setup.note(f"features: {' '.join(got)}")
        missing = [word for word in setup.peer.features[device] if word not in got]
        want(missing, [], "features that the guest does not see")
        machine.run("draw blob")
        machine.finish()
        setup.note(machine.console.find(r"neep-draw: card (.*)")[-1].group(1))


def page_flips_are_all_shown(setup, device):
    with setup.machine(device, tap=1 if device in DISPLAY_DEVICES else 0) as machine:
        tap = machine.tap
        machine.wait_ready()
        told = draw(machine, "draw flips 200", "flips")
        want(told["flips"], "200", "page flips")
        setup.note(f"{told['rate']} flips/s")
        if tap is not None:
            width, height = (int(side) for side in told["size"].split("x"))
            frames = [u for u in tap.updates if u[3:] == (width, height)]
            setup.note(f"{len(frames)} whole frames reached the display")
            want(not frames, False, "no whole frame reached the display")
        machine.release()


def partial_update_carries_its_rectangle(setup, device):
    with setup.machine(device, tap=1) as machine:
        tap = machine.tap
        machine.wait_ready()
        draw(machine)
        x, y, size = machine.console.find(r"neep-draw: dirty rect=(\d+),(\d+),(\S+)")[-1].groups()
        rect = (0, int(x), int(y), *(int(side) for side in size.split("x")))
        whole = (0, 0, 0, *tap.scanouts[0])
        # Linux from 6.8 on forgets the rectangle once any page flip has been done, and sends the frame.
        want(tap.updates[-1] in (rect, whole), True, f"the last update is {rect} or the frame")
        setup.note(f"the last update was {'the rectangle' if tap.updates[-1] == rect else 'the whole frame'}")
        machine.release()


def cursor_arrives_with_hotspot_and_place(setup, device):
    with setup.machine(device, tap=1) as machine:
        tap = machine.tap
        machine.wait_ready()
        told = draw(machine)
        place = [int(v) for v in told["cursor"].split(",")]
        wait_until(lambda: tap.cursor_pos == place, machine.limit(5), f"the cursor at {place}")
        want(tap.cursor_scanout, 0, "scanout of the cursor")
        want(tap.cursor_hot, [int(v) for v in told["hot"].split(",")], "hotspot")
        raw = machine.path("cursor.argb")
        subprocess.run([setup.expected, "--cursor", raw], check=True)
        with open(raw, "rb") as image:
            want(tap.cursor == image.read(), True, "cursor image equals the guest's")
        machine.release()


def two_heads_show_their_parts(setup, device):
    more = {"options": "max_outputs=2", "tap": 2} if device in DISPLAY_DEVICES else {"backend": ("--max-outputs=2",)}
    with setup.machine(device, **more) as machine:
        machine.wait_ready()
        machine.run("draw two-heads")
        told = machine.wait_drawn("two-heads")
        parts = [match.group(1) for match in machine.console.find(r"neep-draw: part index=\d+ area=(\S+)")]
        want(len(parts), 2, "heads")
        for scanout, area in enumerate(parts):
            machine.expect_picture(told["size"], scanout, area)
        machine.release()


def reboot_draws_again(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        draw(machine)
        machine.reset()
        machine.wait_ready()
        draw(machine)
        machine.release()
        machine.check_alive()


def pause_in_the_middle_of_flips(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        machine.run("draw flips 300")
        machine.console.expect("neep-draw: head index=0", machine.limit(20))
        for _ in range(4):
            time.sleep(0.4)
            machine.monitor.execute("stop")
            time.sleep(0.2)
            machine.monitor.execute("cont")
        told = machine.wait_drawn("flips")
        want(told["flips"], "300", "page flips")
        machine.expect_picture(told["size"])
        machine.release()
        machine.check_alive()


def pause_keeps_the_picture(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        told = draw(machine)
        machine.monitor.execute("stop")
        time.sleep(0.3)
        machine.monitor.execute("cont")
        machine.expect_picture(told["size"])
        machine.release()
        draw(machine)
        machine.release()
        machine.check_alive()


def driver_unbinds_and_binds(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        for _ in range(2):
            draw(machine)
            machine.release()
            machine.run("rebind")
            machine.finish()
        draw(machine)
        machine.release()
        machine.check_alive()


def resize_is_followed(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        machine.is_spent = True
        draw(machine, "draw resize", "before-resize")
        machine.host_command(setup.resize, scanout=0, width=1600, height=900, size="1600x900")
        told = machine.wait_drawn("resized")
        want(told["size"], "1600x900", "size after the resize")
        machine.expect_picture(told["size"])
        machine.release()


def memory_above_4g_is_reached(setup, device):
    with setup.machine(device, memory="5G") as machine:
        machine.wait_ready()
        draw(machine)
        machine.release()


def backend_ends_with_its_vm(setup, device):
    with setup.machine(device) as machine:
        machine.wait_ready()
        draw(machine)
        machine.is_spent = True
        machine.monitor.execute("quit")
        wait_until(lambda: machine.backends[0].poll() is not None, machine.limit(5), "the end of the backend")
        want(machine.backends[0].returncode, 0, "exit status of the backend")


def blob(machine, command, status=0, timeout=60):
    machine.run(f"blob {command}")
    machine.finish(status, timeout)


def want_no_leftovers(machine, before):
    """Waits until the device holds no more than it did: the kernel gives things back a little later."""
    kept = ("resources", "contexts", "maps", "pending")
    wait_until(lambda: all(machine.stats()[key] <= before[key] for key in kept), machine.limit(10), f"a return to {before}")


def blobs_are_shared_with_the_host(setup, device):
    with setup.machine(device, backend=WINDOW) as machine:
        machine.wait_ready()
        before = machine.stats()
        blob(machine, "caps")
        blob(machine, "cycles 200")
        blob(machine, "many 100")
        blob(machine, "errors")
        blob(machine, "fences")
        blob(machine, "die 20", 137)
        want_no_leftovers(machine, before)
        blob(machine, "cycles 20")
        for match in machine.console.find(r"neep-blob: (.* ms=.*)"):
            setup.note(match.group(1))
        machine.check_alive()


def live_blobs_survive_a_pause(setup, device):
    with setup.machine(device, backend=WINDOW) as machine:
        machine.wait_ready()
        machine.run("blob keep 20")
        machine.console.expect("neep-blob: kept=20", machine.limit(30))
        for _ in range(3):
            machine.monitor.execute("stop")
            time.sleep(0.3)
            machine.monitor.execute("cont")
        want(machine.stats()["maps"], 20, "live maps")
        machine.release()
        blob(machine, "cycles 50")
        machine.check_alive()


def blobs_are_shared_without_memory_slots(setup, device):
    with setup.machine(device, backend=WITHOUT_SLOTS) as machine:
        machine.wait_ready()
        before = machine.stats()
        blob(machine, "cycles 100")
        blob(machine, "many 50")
        want_no_leftovers(machine, before)


def reboot_with_blobs(setup, device, backend):
    with setup.machine(device, backend=backend) as machine:
        machine.wait_ready()
        before = machine.stats()
        machine.run("blob keep 20")
        machine.console.expect("neep-blob: kept=20", machine.limit(30))
        machine.reset()
        machine.wait_ready()
        want_no_leftovers(machine, before)
        blob(machine, "many 50")
        draw(machine)
        machine.release()
        machine.check_alive()


def live_blobs_end_with_a_reboot(setup, device):
    reboot_with_blobs(setup, device, WITHOUT_SLOTS)


def live_blobs_in_memory_slots_end_with_a_reboot(setup, device):
    reboot_with_blobs(setup, device, WINDOW)


def live_blobs_end_with_the_driver(setup, device):
    with setup.machine(device, backend=WITHOUT_SLOTS) as machine:
        machine.wait_ready()
        blob(machine, "leave 20")
        want(machine.stats()["maps"], 20, "live maps")
        pid = machine.console.find(r"neep-blob: left=20 pid=(\d+)")[-1].group(1)
        machine.run("rebind")
        machine.finish()
        want(machine.stats()["maps"], 0, "live maps")
        machine.run(f"kill -9 {pid}")
        machine.finish()
        draw(machine)
        machine.release()
        machine.check_alive()


def a_thousand_blobs_come_and_go(setup, device):
    with setup.machine(device, backend=WINDOW) as machine:
        machine.wait_ready()
        before = machine.stats()
        blob(machine, "cycles 1000", timeout=120)
        want_no_leftovers(machine, before)
        setup.note(machine.console.find(r"neep-blob: (cycles=1000 .*)")[-1].group(1))


def a_map_beyond_the_limit_is_refused(setup, device):
    with setup.machine(device, backend=WINDOW) as machine:
        machine.wait_ready()
        before = machine.stats()
        for _ in range(2):
            blob(machine, "exhaust", timeout=120)
            want_no_leftovers(machine, before)
        told = machine.console.find(r"neep-blob: live=(\d+) ms=(\d+)")[-1]
        want(told.group(1), "400", "live maps")
        setup.note(f"400 live maps and back in {told.group(2)} ms")
        blob(machine, "cycles 20")
        draw(machine)
        machine.release()
        machine.check_alive()


def ring_formats(machine):
    """What the guest negotiated: a string of bits per virtio device."""
    bits = [match.group(1) for match in machine.console.find(r"neep-virtio: ([01]+)")]
    return ["packed" if word[RING_PACKED] == "1" else "split" for word in bits]


def picture_through_rings(setup, device, ring_format, **more):
    with setup.machine(device, **more) as machine:
        machine.wait_ready()
        want(set(ring_formats(machine)), {ring_format}, "format of the rings")
        told = draw(machine, "draw flips 100", "flips")
        setup.note(f"{told['rate']} flips/s")
        machine.monitor.execute("stop")
        machine.monitor.execute("cont")
        machine.expect_picture(told["size"])
        machine.release()
        machine.reset()
        machine.wait_ready()
        draw(machine)
        machine.release()
        machine.check_alive()


def packed_rings_carry_the_picture(setup, device):
    options = "packed=on" if device in DISPLAY_DEVICES else ""
    picture_through_rings(setup, device, "packed", options=options)


def split_rings_carry_the_picture(setup, device):
    more = {"split": True, "backend": WINDOW} if device in RENDERER else {}
    picture_through_rings(setup, device, "split", **more)


def rings_of_any_size_carry_the_picture(setup, device):
    for size in (16, 64, 1024):
        with setup.machine(device, options=f"vq_size={size}") as machine:
            machine.wait_ready()
            draw(machine)
            machine.release()
            machine.check_alive()


def two_devices_live_in_one_machine(setup, device):
    with setup.machine(device, twins=True) as machine:
        machine.wait_ready()
        for index in (1, 0):
            machine.run(f"draw --card={index} picture")
            told = machine.wait_drawn("picture")
            machine.expect_picture(told["size"], index=index)
            machine.release()
        machine.reset()
        machine.wait_ready()
        draw(machine)
        machine.release()
        machine.check_alive()


def memory_comes_and_goes_while_drawing(setup, device):
    with setup.machine(device, memory="512M,slots=2,maxmem=2G") as machine:
        machine.wait_ready()
        machine.is_spent = True
        machine.run("draw flips 300")
        machine.console.expect("neep-draw: head index=0", machine.limit(20))
        dimm = {"qom-type": "memory-backend-memfd", "id": "dimm", "size": 256 << 20, "share": True}
        machine.monitor.execute("object-add", **dimm)
        machine.monitor.execute("device_add", driver="pc-dimm", id="dimm0", memdev="dimm")
        told = machine.wait_drawn("flips")
        machine.expect_picture(told["size"])
        machine.release()
        machine.run("online")
        machine.finish()
        setup.note("the guest has " + machine.console.find(r"neep-memory: (.*)")[-1].group(1))
        draw(machine)
        machine.release()
        machine.monitor.execute("device_del", id="dimm0")
        machine.monitor.wait_event("DEVICE_DELETED")
        draw(machine)
        machine.release()
        machine.check_alive()


class Compositor:
    """A program of the host that listens for one guest, as tests/vm/guest/wayland.c expects it."""

    MEMORY_SIZE, PIPE_BYTES = 300000, 200000
    KEYMAP = b"a keymap of the host\0"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="neep-compositor-")
        self.path = os.path.join(self.folder, "socket")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(120)
        self.wrong = "nothing came"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        shutil.rmtree(self.folder)

    def _serve(self):
        try:
            guest, _ = self.listener.accept()
            guest.settimeout(120)
            with guest:
                self.wrong = self._talk(guest)
        except OSError as error:
            self.wrong = str(error)

    def _talk(self, guest):
        """Returns what was wrong."""
        pattern = bytes(i % 251 for i in range(self.MEMORY_SIZE))
        greeting, fds, _, _ = socket.recv_fds(guest, 64, 4)
        if greeting != b"hello" or len(fds) != 2:
            return f"the guest sent {greeting} and {len(fds)} fds"
        if os.pread(fds[0], self.MEMORY_SIZE, 0) != pattern:
            return "the memory that the guest sent is not as it was written"
        keymap = os.memfd_create("keymap", os.MFD_CLOEXEC)
        os.write(keymap, self.KEYMAP)
        reader, writer = os.pipe()
        socket.send_fds(guest, [b"answer"], [keymap, writer])
        for fd in (keymap, writer, fds[0]):
            os.close(fd)
        sender = threading.Thread(target=self._write, args=(fds[1], pattern[: self.PIPE_BYTES]), daemon=True)
        sender.start()
        with open(reader, "rb") as pipe:
            got = pipe.read()
        sender.join()
        if got != pattern[: self.PIPE_BYTES]:
            return f"{len(got)} bytes came through the pipe, and not as they were"
        farewell = guest.recv(64)
        return None if farewell == b"done" else f"the guest ended with {farewell}"

    @staticmethod
    def _write(fd, data):
        with open(fd, "wb") as pipe:
            pipe.write(data)


def wayland_reaches_the_compositor(setup, device):
    with Compositor() as compositor:
        words = (*WINDOW, "--capset-names=cross-domain", f"--wayland-socket-path={compositor.path}")
        with setup.machine(device, backend=words) as machine:
            machine.wait_ready()
            machine.is_spent = True
            machine.run("wayland")
            machine.finish(timeout=90)
            compositor.thread.join(10)
            want(compositor.wrong, None, "what the compositor found wrong")
            machine.check_alive()


# What runs on which device, in this order: cases on the same kind of machine follow each other and share it.
CASES = (
    (features_reach_the_guest, ALL_DEVICES),
    (picture_is_pixel_exact, ALL_DEVICES),
    (driver_unbinds_and_binds, ALL_DEVICES),
    (pause_in_the_middle_of_flips, ALL_DEVICES),
    (pause_keeps_the_picture, ALL_DEVICES),
    (reboot_draws_again, ALL_DEVICES),
    (page_flips_are_all_shown, ("generic",)),
    (backend_ends_with_its_vm, ALL_DEVICES),
    (features_reach_the_guest, RENDERER),
    (blobs_are_shared_with_the_host, RENDERER),
    (live_blobs_survive_a_pause, RENDERER),
    (a_thousand_blobs_come_and_go, RENDERER),
    (a_map_beyond_the_limit_is_refused, RENDERER),
    (live_blobs_in_memory_slots_end_with_a_reboot, RENDERER),
    (blobs_are_shared_without_memory_slots, RENDERER),
    (live_blobs_end_with_a_reboot, RENDERER),
    (live_blobs_end_with_the_driver, RENDERER),
    (wayland_reaches_the_compositor, ("generic",)),
    (resize_is_followed, ("generic",)),
    (page_flips_are_all_shown, DISPLAY_DEVICES),
    (partial_update_carries_its_rectangle, DISPLAY_DEVICES),
    (cursor_arrives_with_hotspot_and_place, DISPLAY_DEVICES),
    (two_heads_show_their_parts, ALL_DEVICES),
    (picture_is_pixel_exact_at_an_odd_size, ALL_DEVICES),
    (packed_rings_carry_the_picture, ("gpu-pci", "generic")),
    (split_rings_carry_the_picture, ("gpu-pci", "generic-3d")),
    (rings_of_any_size_carry_the_picture, ("generic",)),
    (memory_above_4g_is_reached, ("gpu-pci", "generic")),
    (two_devices_live_in_one_machine, ("gpu-pci", "generic")),
    (memory_comes_and_goes_while_drawing, ("gpu-pci", "generic")),
)

ESSENTIAL = (picture_is_pixel_exact, reboot_draws_again, pause_in_the_middle_of_flips)

# Left out of the quick plan.
LONG = (
    live_blobs_survive_a_pause,
    live_blobs_in_memory_slots_end_with_a_reboot,
    live_blobs_end_with_a_reboot,
    live_blobs_end_with_the_driver,
    a_thousand_blobs_come_and_go,
    a_map_beyond_the_limit_is_refused,
    rings_of_any_size_carry_the_picture,
    split_rings_carry_the_picture,
    memory_comes_and_goes_while_drawing,
)
