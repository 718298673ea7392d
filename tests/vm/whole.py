#!/usr/bin/env python3
"""The whole VM: a stock Debian guest on stock QEMU by `neep vm`, with Vulkan and Wayland; prints TAP.

The programs run in the guest, and their results are held against those of the same programs on this machine."""

import argparse
import filecmp
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "wayland"))

import memory_cases
import mode_cases
import picture
import processes
import sync_cases
import udmabuf
from compositor import Weston
from guest_shell import Guest, ProgramDisk
from machine import Failure, Monitor
from opengl import OpenGL
from tap import Tap

PROGRAMS = ("compute", "triangle", "mesh", "descriptors", "transfers", "threads", "semaphores", "queries")
SELECT = "VK_LOADER_DRIVERS_SELECT='*gfxstream*' VK_LOADER_DEBUG=none"
SCENE = "argb8888"
PATIENCE = 240
FRONT_ENDS = ("generic", "rutabaga")
DRIVER = "libvulkan_lvp"
PIGLIT_S = 1200  # a minute on an idle machine


class Whole:
    def __init__(self, options, folder):
        self.build = os.path.abspath(options.build)
        self.neep = os.path.join(self.build, "src/cli/neep")
        self.keep = os.path.abspath(options.keep)
        self.folder = folder
        self.front_end = options.front_end
        self.opengl = OpenGL(self.build, options.mesa, folder)
        self.udmabuf = udmabuf.Udmabuf(self.build, folder)
        self.weston = Weston(folder)
        names = [f"tests/vulkan/vk-{name}" for name in (*PROGRAMS, "steady")]
        names += ["tests/vulkan/wayland-client", "tests/wayland/wl-still", "guest/wayland/neep-wayland"]
        names += [f"tests/vm/{program}" for program in (memory_cases.PROGRAM, mode_cases.PROGRAM)]
        names.append(sync_cases.PROGRAM)
        self.disk = ProgramDisk(folder, [os.path.join(self.build, name) for name in names] + self.opengl.files
                                + self.udmabuf.files)
        self.control = os.path.join(folder, "control.sock")
        self.monitor = os.path.join(folder, "monitor.sock")
        command = [self.neep, "vm", "--front-end", options.front_end, "--qemu", options.qemu, "--control", self.control,
                   "--memory", "2G", "--append", memory_cases.KERNEL_WORD]
        self.guest = Guest(command, self.disk, {**self.weston.env, "XDG_CACHE_HOME": os.path.abspath(options.cache)},
                           self.keep, ["-qmp", f"unix:{self.monitor},server=on,wait=off"])

    def close(self):
        self.guest.close()
        self.weston.stop()

    # ---- cases ----

    def boots(self):
        start = time.monotonic()
        self.guest.start()
        self.guest.await_drivers()
        return f"{time.monotonic() - start:.0f} s"

    def kernel_log(self):
        log = "\n".join(self.guest.run("dmesg | grep -F '[drm]'"))
        for word in ("+virgl", "+edid", "+resource_blob", "+host_visible", "+context_init"):
            if word not in log:
                raise Failure(f"{word} is not in the kernel's log:\n{log}")

    def vulkaninfo(self):
        lines = self.guest.run(f"{SELECT} vulkaninfo --summary", PATIENCE)
        names = [line.split("=", 1)[1].strip() for line in lines if "deviceName" in line]
        if not names or "GFXStream" not in names[0]:
            raise Failure("no gfxstream device:\n" + "\n".join(lines))
        return names[0]

    def program(self, name):
        native = os.path.join(self.folder, "native", name)
        os.makedirs(native)
        done = subprocess.run([os.path.join(self.build, f"tests/vulkan/vk-{name}"), native], capture_output=True, text=True,
                              timeout=PATIENCE)
        if done.returncode != 0:
            raise Failure(f"natively it ends with {done.returncode}\n{done.stderr}")
        self.guest.run(f"mkdir /mnt/out/{name} && {SELECT} /mnt/vk-{name} /mnt/out/{name}", PATIENCE)

    def results(self):
        """After the guest has ended, whose disk it is until then."""
        out = self.disk.take_out(self.folder)
        count = 0
        for name in (*PROGRAMS, "opengl"):
            native = os.path.join(self.folder, "native", name)
            both = filecmp.dircmp(native, os.path.join(out, name))
            _, differ, errors = filecmp.cmpfiles(both.left, both.right, both.common_files, shallow=False)
            if differ or errors or both.left_only or both.right_only:
                raise Failure(f"{name}: differ: {differ}, missing: {both.left_only}, too many: {both.right_only} {errors}")
            count += len(both.common_files)
        if count == 0:
            raise Failure("no program wrote a file")
        return f"{count} files"

    def compare_windows(self, program, words, env):
        """The picture on this machine's compositor, with the client in the guest and with the client here."""
        name = os.path.basename(program)
        native = subprocess.Popen([os.path.join(self.build, program), *words], env=self.weston.env,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        native.stdout.readline()
        window = self.window(self.shoot(f"{name}-native"))
        native.stdin.close()
        native.wait()
        log = f"/mnt/out/{name}.log"
        self.guest.send(f"{env} /mnt/neep-wayland -- /mnt/{name} {' '.join(words)} < <(sleep 1000) >/dev/null 2>{log} &")

        def is_shown():
            return window is not None and self.window(self.shoot(f"{name}-guest")) == window
        if processes.await_true(is_shown, PATIENCE, 0.5) is None:
            raise Failure(f"the window is another one: see {self.keep}\n" + "\n".join(self.guest.run(f"tail {log}")))
        self.guest.run(f"pkill {name}; sleep 1", status=None)

    def wayland(self):
        self.compare_windows("tests/wayland/wl-still", [SCENE], "")

    def vulkan_window(self):
        """It consists of dma-bufs."""
        self.compare_windows("tests/vulkan/wayland-client", [], f"{SELECT} WAYLAND_DEBUG=1")
        self.guest.run("grep -q 'zwp_linux_buffer_params.*create_immed' /mnt/out/wayland-client.log")

    def shoot(self, name):
        path = os.path.join(self.keep, f"weston-{name}.png")
        self.weston.screenshot(path)
        return path

    @staticmethod
    def window(path):
        """The pixels of what is not background; where the shell places a window is chance."""
        width, height, rows = picture.read(path)
        background = rows[:3]
        lines = [rows[y * width * 3:(y + 1) * width * 3] for y in range(height)]
        inside = [y for y, line in enumerate(lines) if line != background * width]
        if not inside:
            return None
        lines = lines[inside[0]:inside[-1] + 1]
        columns = [x for x in range(width) if any(line[x * 3:x * 3 + 3] != background for line in lines)]
        return [line[columns[0] * 3:(columns[-1] + 1) * 3] for line in lines]

    def screenshot(self, path):
        """Of the guest's own screen: the device has it, or QEMU."""
        if self.front_end == "generic":
            subprocess.run([os.path.join(self.build, "src/cli/neep"), "screenshot", "--control", self.control, path],
                           check=False, capture_output=True)
            return
        monitor = Monitor(self.monitor, PATIENCE)
        try:
            monitor.execute("screendump", filename=path, format="png")
        finally:
            monitor.close()

    def own_screen(self):
        """The guest's compositor on our scanout."""
        self.guest.run("export XDG_RUNTIME_DIR=/run/user/0; mkdir -p -m 700 /run/user/0")
        self.guest.send("LIBSEAT_BACKEND=builtin weston --backend=drm --renderer=pixman --continue-without-input "
                        "--socket=inner >/mnt/out/weston.log 2>&1 &")
        path = os.path.join(self.keep, "screen.png")

        def has_picture():
            self.screenshot(path)
            return os.path.exists(path) and len(picture.colors(path)) > 50
        if processes.await_true(has_picture, PATIENCE, 2) is None:
            raise Failure("the screen has no picture\n" + "\n".join(self.guest.run("tail -n 20 /mnt/out/weston.log")))
        width, height, _ = picture.read(path)
        self.guest.run("pkill weston; sleep 2", status=None)
        return f"{width}x{height}"

    def device(self):
        """The process that has the device, and the renderers below it: ours, or QEMU."""
        return next(pid for pid, name in self.guest.children().items()
                    if name == "vhost-user-neep" or self.front_end == "rutabaga")

    def renderers(self):
        return [pid for pid, name in processes.family(self.device()).items() if name.startswith("ctx ")
                or name.startswith("neep-render")]

    def start_steady(self):
        """A program that draws on and on; returns its renderers, which have drawn."""
        spawner = set(self.renderers())
        self.guest.send(f"({SELECT} timeout 300 /mnt/vk-steady /mnt/out 0 < <(sleep 400) >/mnt/out/steady.log 2>&1; "
                        "echo ended-$? >>/mnt/out/steady.log) &")
        if processes.await_true(lambda: any(DRIVER in maps_of(pid) for pid in set(self.renderers()) - spawner),
                                PATIENCE, 0.1) is None:
            raise Failure("no renderer with a driver comes")
        time.sleep(3)
        return set(self.renderers()) - spawner

    def isolated_renderer(self):
        """The driver is in a process that can do little, and neither in QEMU nor in the device process."""
        started = self.start_steady()
        with_driver = {pid for pid in [*started, *self.guest.children()] if DRIVER in maps_of(pid)}
        if not with_driver or with_driver - started:
            raise Failure(f"the driver is in {with_driver}, the renderers are {started}")
        for pid in started:
            if os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
                raise Failure(f"renderer {pid} has no namespaces of its own")
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                words = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
            if words["Seccomp"] != "2" or words["NoNewPrivs"] != "1" or int(words["CapEff"], 16) != 0:
                raise Failure(f"renderer {pid}: {words}")
        self.guest.run("pkill -x vk-steady; for i in $(seq 50); do grep -q ended- /mnt/out/steady.log && break; sleep 0.2; done")
        if processes.await_true(lambda: not set(started) & set(self.renderers()), PATIENCE) is None:
            raise Failure("a renderer outlives its program")

    def killed_renderer(self):
        """Its program ends, the guest and the next program do not notice."""
        for pid in self.start_steady():
            os.kill(pid, 9)
        self.guest.run("for i in $(seq 600); do grep -q ended- /mnt/out/steady.log && break; sleep 0.2; done; "
                       "cat /mnt/out/steady.log; grep -q ended- /mnt/out/steady.log && ! grep -q ended-0 /mnt/out/steady.log")
        self.guest.run(f"mkdir -p /tmp/again && {SELECT} /mnt/vk-triangle /tmp/again", PATIENCE)

    def idle(self):
        """A guest that does nothing, not even a blinking cursor, costs the device nothing."""
        self.guest.run("echo 0 >/sys/class/graphics/fbcon/cursor_blink")
        if not processes.await_idle([self.device()], 3, PATIENCE):
            raise Failure("it uses processor time every 3 s")

    def module(self):
        self.guest.run("echo 0 >/sys/class/vtconsole/vtcon1/bind; pkill weston; "
                       "for i in $(seq 60); do modprobe -r virtio_gpu && break; sleep 1; done", status=None)
        self.guest.run("! lsmod | grep -q ^virtio_gpu")
        self.guest.run("modprobe virtio_gpu; udevadm settle; ls /dev/dri/renderD128")
        self.vulkaninfo()

    def reboot(self):
        """With a context alive, which nobody destroys: the next guest's programs get its id. QEMU 11.1 crashes when blobs are
        mapped at a reset of the generic device (tests/vm/boot.py)."""
        old = self.start_steady() if self.front_end == "rutabaga" else set()
        self.guest.send("sync; reboot -f")
        self.guest.console.expect(r"reboot: Restarting|SeaBIOS|Booting from|login:", PATIENCE)
        self.guest.await_shell()
        self.guest.await_drivers()
        self.vulkaninfo()
        if processes.await_true(lambda: not old & set(self.renderers()), PATIENCE) is None:
            raise Failure("a renderer outlives its guest")

    def ends(self):
        status = self.guest.stop()
        left = [name for name in os.listdir(self.weston.env["XDG_RUNTIME_DIR"]) if name.startswith("neep-vm")]
        if status != 0 or left:
            raise Failure(f"neep vm ended with {status} and left {left}")


def maps_of(pid):
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def run(options):
    tap = Tap()
    os.makedirs(options.keep, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="neep-whole.") as folder:
        whole = Whole(options, folder)
        try:
            tap.run("vm_boots_by_one_command", whole.boots)
            if not tap.failed:
                run_cases(tap, whole, options)
        finally:
            whole.close()
    return tap.end()


def run_cases(tap, whole, options):
    tap.run("guest_kernel_finds_every_feature", whole.kernel_log)
    tap.run("guest_vulkaninfo_shows_the_device", whole.vulkaninfo)
    for name in PROGRAMS:
        tap.run(f"guest_program_{name}_runs", whole.program, name)
    tap.run("guest_draws_with_opengl_through_zink", whole.opengl.draws, whole.guest, PATIENCE)
    tap.run("guest_runs_piglit_through_zink", whole.opengl.runs_piglit, whole.guest, PIGLIT_S)
    tap.run("guest_window_on_the_host_is_the_same", whole.wayland)
    tap.run("guest_compositor_draws_on_our_screen", whole.own_screen)
    # Not in QEMU, which takes a Vulkan fence for that of the Wayland client (docs/qemu-rutabaga.md).
    if options.front_end == "generic":
        tap.run("guest_vulkan_window_on_the_host_is_the_same", whole.vulkan_window)
        sync_cases.run(tap, whole)
        udmabuf.run(tap, whole.udmabuf, whole.guest)
        tap.run("idle_guest_costs_nothing", whole.idle)
        mode_cases.run(tap, whole)
        memory_cases.run(tap, whole, options.long)
    tap.run("guest_renderer_is_isolated", whole.isolated_renderer)
    tap.run("guest_survives_a_killed_renderer", whole.killed_renderer)
    tap.run("guest_module_is_unloaded_and_loaded", whole.module)
    for number in range(options.reboots):
        tap.run(f"guest_reboots_{number + 1}", whole.reboot)
    tap.run("vm_ends_and_leaves_nothing", whole.ends)
    tap.run("guest_results_are_those_of_this_machine", whole.results)
    if options.front_end == "generic":
        tap.run("guest_pictures_are_the_same_with_and_without_dma_bufs", whole.udmabuf.pictures,
                os.path.join(whole.folder, "out"), whole.window, whole.keep)
    tap.run("guest_piglit_verdicts_are_those_of_this_machine", whole.opengl.compares_piglit, os.path.join(whole.folder, "out"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--qemu", required=True, help="the QEMU: 11.0 or newer, or one with rutabaga")
    parser.add_argument("--front-end", choices=FRONT_ENDS, default="generic")
    parser.add_argument("--cache", required=True, help="XDG_CACHE_HOME of neep vm: the guest is made there")
    parser.add_argument("--mesa", required=True, help="runs commands where the guest's Mesa and piglit are")
    parser.add_argument("--keep", required=True, help="logs and pictures go here")
    parser.add_argument("--reboots", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="more of what takes time")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
