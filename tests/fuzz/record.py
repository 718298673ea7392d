#!/usr/bin/env python3
"""Makes seeds for the fuzz targets from real sessions: boots guests with the recording daemon, has them draw, use blobs
and reboot, and writes what came over the queues and the vhost-user socket in the formats of fuzz_controlq, fuzz_cursorq
and fuzz_vhost_user into corpus/*/recorded_*. Addresses become those of the targets' small guests; the rest is as it was.

usage: tests/fuzz/record.py BUILD-FOLDER GUEST-FOLDER QEMU-10 QEMU-11
"""

import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))

# pylint: disable=wrong-import-position
import boot  # noqa: E402
from machine import Machine  # noqa: E402

# Of the targets.
STEPS_MAX = 250
RAW_STEP = 252
COMMAND_MAX = 4096
GUEST_SIZE = 4 << 20
ROOMS = (24, 40, 64, 408, 1056, 2048)
SHAPE_OF_ROOM = {24: 0, 40: 9, 64: 2, 408: 10, 1056: 12, 2048: 4}
NO_ROOM = {0: 7, 1: 133}  # by queue
ANSWER_WINDOW, RESET_DEVICE = bytes((210, 0, 0)), bytes((240, 10, 225))
RAM_SIZE, RAM_USER = 0x40000, 0x700000000000
WINDOW_SIZE = 0x10000
BAR = 0xE0000000

ATTACH_BACKING, CREATE_BLOB, MAP_BLOB, UNMAP_BLOB, UNREF = 0x106, 0x10C, 0x208, 0x209, 0x102
RESET = 0xFFFFFFFF


def elements(path):
    """(queue, readable bytes, writable size), and (RESET, b"", 0), in the order in which they came."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 12 <= len(data):
        queue, readable, writable = struct.unpack_from("<III", data, at)
        at += 12
        yield queue, data[at : at + readable], writable
        at += readable


def move_entries(command, at, count):
    """Puts memory entries inside the small guest."""
    command = bytearray(command)
    for entry in range(at, min(at + 16 * count, len(command) - 15), 16):
        addr, length = struct.unpack_from("<QI", command, entry)
        length = min(length, 1 << 16)
        struct.pack_into("<QI", command, entry, addr % (GUEST_SIZE - (1 << 16)), length)
    return bytes(command)


def fit(queue, command):
    """The command as the small guest can send it; fuzz_cursorq has images 1 to 5."""
    (kind,) = struct.unpack_from("<I", command)
    if queue == 1 and len(command) >= 44 and any(command[40:44]):
        command = command[:40] + struct.pack("<I", command[40] % 5 + 1) + command[44:]
    elif kind == ATTACH_BACKING:
        command = move_entries(command, 32, struct.unpack_from("<I", command, 28)[0])
    elif kind == CREATE_BLOB:
        command = move_entries(command, 56, struct.unpack_from("<I", command, 36)[0])
    return command[:COMMAND_MAX]


def raw_steps(queue, command, room):
    shape = NO_ROOM[queue] if room == 0 else SHAPE_OF_ROOM[min(size for size in ROOMS if size >= min(room, ROOMS[-1]))]
    steps = [struct.pack("<BH", RAW_STEP, len(command)) + command + bytes((shape, 0))]
    (kind,) = struct.unpack_from("<I", command)
    return steps + ([ANSWER_WINDOW] if kind in (MAP_BLOB, UNMAP_BLOB, UNREF) else [])


def device_seeds(path, queue, head):
    """Seeds of at most STEPS_MAX steps. What a driver repeats with another fence alone is left out after a while."""
    steps, seen = [], set()
    for at, command, room in elements(path):
        if at == RESET:
            steps += [RESET_DEVICE] if steps else []
            seen.clear()
        if at != queue or len(command) < 24:
            continue
        command = fit(queue, command)
        key = command[:8] + command[16:]
        if len(seen) < 40 or key not in seen:
            steps += raw_steps(queue, command, room)
        seen.add(key)
    return [head + b"".join(steps[at : at + STEPS_MAX]) for at in range(0, len(steps), STEPS_MAX)]


# vhost-user requests
SET_MEM_TABLE, VRING_NUM, VRING_ADDR, BACKEND_FD, ADD_REGION, REMOVE_REGION = 5, 8, 9, 21, 37, 38
VRING_KICK, VRING_ENABLE = 12, 18
RAM_FD, EVENT_FD = 1, 2
USUAL_LEN = {SET_MEM_TABLE: 40, VRING_ADDR: 40, ADD_REGION: 40, REMOVE_REGION: 40, 24: 32, 25: 32, 31: 24, 32: 24}
USUAL_LEN |= {2: 8, 16: 8, VRING_ENABLE: 8} | {request: 8 for request in range(VRING_NUM, 15) if request != VRING_ADDR}


def message(request, flags, payload, fd=0):
    shape = fd | (4 if flags & 8 else 0)
    if len(payload) == USUAL_LEN.get(request, 0):
        return bytes((0, request, shape)) + payload
    return bytes((0, request, 0xF0 | shape)) + struct.pack("<H", len(payload)) + payload


def window_step(request, guest_addr):
    """A change of the window: the device asks, the front-end answers and tells the region."""
    page = (guest_addr - BAR) >> 12
    if page >= WINDOW_SIZE >> 12:
        return b""
    is_map = request == ADD_REGION
    return bytes((11, (4 if is_map else 0) | page % 4, page, 9, 0, 10, (0x10 if is_map else 0) | page))


def ring_place(payload, sizes):
    index, flags = struct.unpack_from("<II", payload)
    at = RAM_USER + 0x10000 * (index + 1)
    avail, used = (0x1000, 0x2000) if sizes.get(index, 0) <= 256 else (0x5000, 0x9000)
    return struct.pack("<IIQQQQ", index, flags, at, at + used, at + avail, 0)


def session_seed(requests):
    """The requests of a session as steps; buffers are submitted where the guest would."""
    steps, sizes = [], {}
    for request, flags, payload, fd_count in requests:
        fd = EVENT_FD if fd_count else 0
        if request == SET_MEM_TABLE:
            payload, fd = struct.pack("<IIQQQQ", 1, 0, 0, RAM_SIZE, RAM_USER, 0), RAM_FD
        elif request in (ADD_REGION, REMOVE_REGION):
            guest_addr = struct.unpack_from("<Q", payload, 8)[0]
            if guest_addr >= BAR:
                steps.append(window_step(request, guest_addr))
                continue
            payload, fd = struct.pack("<QQQQQ", 0, 0, RAM_SIZE, RAM_USER, 0), RAM_FD if request == ADD_REGION else 0
        elif request == BACKEND_FD:
            steps.append(bytes((15, 0x77)))
            continue
        elif request == VRING_NUM:
            index, sizes[index] = struct.unpack("<II", payload)
        elif request == VRING_ADDR:
            payload = ring_place(payload, sizes)
        steps.append(message(request, flags, payload, fd))
        if request == VRING_ENABLE and payload[4]:
            steps += [bytes((7, payload[0])), bytes((8, payload[0]))]
    return steps


def record(build, image, qemu, device, script, **kwargs):
    """Runs a session and returns (the file of the queues, the requests)."""
    words = f"{build}/tests/vm/vhost-user-neep-record --socket-path={{socket}} --control={{control}} --display={{display}}"
    setup = boot.Setup(
        image=image,
        qemu=qemu,
        backends=dict.fromkeys(boot.DEVICES, words),
        expected="",
        screenshot="",
        resize="",
        stats="",
        screenshot_always=False,
        peer=boot.PEERS["neep"],
        accel="tcg",
        slowness=3,
        artifacts="",
    )
    path = os.path.join(image, f"recorded-{device}")
    os.environ["NEEP_RECORD"] = path
    machine = Machine(setup, device, tap=1, **kwargs)
    machine.start()
    try:
        script(machine)
        return path, list(machine.tap.requests)
    finally:
        machine.close()


def draw_and_reboot(machine):
    machine.wait_ready()
    machine.run("draw flips 4")
    machine.wait_drawn("flips")
    machine.monitor.execute("stop")
    machine.monitor.execute("cont")
    machine.release()
    machine.reset()
    machine.wait_ready()
    machine.run("rebind")
    machine.finish()


def use_blobs(machine):
    machine.wait_ready()
    for command in ("caps", "cycles 4", "many 6", "fences", "errors"):
        machine.run(f"blob {command}")
        machine.finish()


def write(target, name, seeds):
    for number, seed in enumerate(seeds):
        path = os.path.join(HERE, "corpus", target, f"recorded_{name}" + (f"_{number + 1}" if len(seeds) > 1 else ""))
        with open(path, "wb") as file:
            file.write(seed)
        print(f"{os.path.relpath(path)}: {len(seed)} bytes")


def main():
    build, image, qemu_10, qemu_11 = (os.path.abspath(word) for word in sys.argv[1:5])
    small = ("--xres=320", "--yres=200")
    # Name, QEMU, device, what the guest does, the machine, and the head of the seeds: flags, features that are missing.
    sessions = (
        ("2d_qemu_10", qemu_10, "gpu-pci", draw_and_reboot, {"options": "xres=320,yres=200"}, bytes((0x42, 0x3D))),
        ("3d_qemu_11", qemu_11, "gpu-pci", draw_and_reboot, {"options": "xres=320,yres=200"}, bytes((0x42, 0x3C))),
        ("2d_generic", qemu_11, "generic", draw_and_reboot, {"backend": small}, bytes((0x4B, 0x35))),
        ("blobs_generic", qemu_11, "generic-3d", use_blobs, {"backend": (*small, "--hostmem=256M")}, bytes((0x0B, 0))),
    )
    for name, qemu, device, script, options, head in sessions:
        os.environ.pop("NEEP_FAKE_2D", None)
        if name.startswith("2d"):
            os.environ["NEEP_FAKE_2D"] = "1"
        path, requests = record(build, image, qemu, device, script, **options)
        write("controlq", name, device_seeds(path, 0, head))
        write("cursorq", name, device_seeds(path, 1, head))
        steps = session_seed(requests)
        write("vhost_user", name, [b"".join(steps[at : at + 300]) for at in range(0, len(steps), 300)])
        os.unlink(path)


if __name__ == "__main__":
    main()
