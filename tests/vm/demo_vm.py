#!/usr/bin/env python3
"""make demo-vm: a Vulkan program in a Debian guest, its window on a weston of this machine, whose screenshot is written."""

import argparse
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "wayland"))

import picture
import processes
from compositor import Weston
from guest_shell import Guest, ProgramDisk
from machine import Failure

CUBE = ("/mnt/neep-wayland -- env VK_LOADER_DRIVERS_SELECT='*gfxstream*' vkcube --wsi wayland "
        "</dev/null >/mnt/out/cube.log 2>&1 &")
PATIENCE = 120


def show(options, folder):
    weston = Weston(folder)
    disk = ProgramDisk(folder, [os.path.join(options.build, "guest/wayland/neep-wayland")])
    command = [os.path.join(options.build, "src/cli/neep"), "vm", "--qemu", options.qemu, "--memory", "2G"]
    guest = Guest(command, disk, {**weston.env, "XDG_CACHE_HOME": os.path.abspath(options.cache)}, folder)
    try:
        print("demo-vm: starting a Debian guest (it is made the first time: some minutes)", flush=True)
        guest.start()
        guest.await_drivers()
        print("demo-vm: starting vkcube in it", flush=True)
        guest.send(CUBE)

        def is_shown():
            weston.screenshot(options.out)
            return len(picture.colors(options.out)) > 20
        if processes.await_true(is_shown, PATIENCE, 1) is None:
            raise Failure("no window: " + "\n".join(guest.run("cat /mnt/out/cube.log")))
        time.sleep(2)
        weston.screenshot(options.out)
        guest.stop()
    finally:
        guest.close()
        weston.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--qemu", required=True, help="the QEMU, 11.0 or newer")
    parser.add_argument("--cache", required=True, help="XDG_CACHE_HOME of neep vm: the guest is made there")
    parser.add_argument("--out", default="demo-vm.png")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(prefix="neep-demo.") as folder:
        try:
            show(options, folder)
        except Failure as failure:
            print(f"demo-vm: {failure}", file=sys.stderr)
            return 1
    print(f"demo-vm: {os.path.abspath(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
