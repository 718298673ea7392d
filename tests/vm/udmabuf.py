"""The guest as a host with /dev/udmabuf, which the machine that runs the tests may not have: our device in it sends dma-bufs."""

import os
import re
import shutil
import subprocess

from machine import Failure

TEST = "tests/cross_domain/test_cross_domain_dmabufs"
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest", "as-host.sh")
# What `neep run` is made of, as it lies in a build folder.
PARTS = ("src/cli/neep", "src/daemon/vhost-user-neep", "src/renderer/neep-renderer", "src/virtgpu/libneep-virtgpu.so",
         "guest/wayland/neep-wayland", "guest/layer/neep_null_descriptor.json",
         "guest/layer/libVkLayer_neep_null_descriptor.so")
TREE = "src/virtgpu/tree"
PATIENCE = 600


class Udmabuf:
    """files  what the guest's disk needs"""

    def __init__(self, build, folder):
        host = os.path.join(folder, "host")
        for part in PARTS:
            os.makedirs(os.path.dirname(os.path.join(host, part)), exist_ok=True)
            shutil.copy(os.path.join(build, part), os.path.join(host, part))
        shutil.copytree(os.path.join(build, TREE), os.path.join(host, TREE), symlinks=True)
        self.files = [host, SCRIPT, os.path.join(build, TEST), *self.libraries(os.path.join(build, TEST), folder)]

    @staticmethod
    def libraries(program, folder):
        """The test's library that the guest lacks, under the name that is asked for."""
        listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        name, path = re.search(r"(libcmocka\S*) => (\S+)", listing).groups()
        copy = os.path.join(folder, name)
        shutil.copy(path, copy)
        return [copy]

    @staticmethod
    def is_there(guest):
        """Nothing else here means anything without it."""
        guest.run("modprobe -q udmabuf; test -c /dev/udmabuf")

    @staticmethod
    def sends(guest):
        """Blobs arrive as dma-bufs with the bytes of the blobs."""
        lines = guest.run(f"LD_LIBRARY_PATH=/mnt /mnt/{os.path.basename(TEST)}", PATIENCE)
        passed = [line for line in lines if "       OK ]" in line]
        if len(passed) < 6:
            raise Failure("\n".join(lines))
        return f"{len(passed)} tests"

    @staticmethod
    def window(guest, name, way, words=""):
        """A Vulkan window on a compositor of the guest's; what that did with dma-bufs."""
        lines = guest.run(f"{words} /mnt/as-host.sh /mnt/out/as-host/{name} {way}", PATIENCE)
        told = dict(re.findall(r"(imported|refused|held)=(\d+)", "\n".join(lines)))
        return {key: int(value) for key, value in told.items()}

    def imports(self, guest):
        told = self.window(guest, "imported", "imports")
        if told["imported"] == 0 or told["refused"] > 0 or told["held"] < told["imported"]:
            raise Failure(f"{told}")
        return f"{told['imported']} buffers"

    def refuses(self, guest):
        """Then it gets pools."""
        told = self.window(guest, "refused", "refuses")
        if told["imported"] > 0 or told["refused"] == 0 or told["held"] > 0:
            raise Failure(f"{told}")

    def turned_off(self, guest):
        told = self.window(guest, "files", "imports", "NEEP_NO_UDMABUF=1")
        if any(told.values()):
            raise Failure(f"{told}")

    @staticmethod
    def pictures(folder, window, keep):
        """All three ways show the same window. After the guest has ended; `window` cuts it out of a screenshot."""
        cut = {}
        for name in ("imported", "refused", "files"):
            path = os.path.join(keep, f"as-host-{name}.png")
            shutil.copy(os.path.join(folder, "as-host", name, "screen.png"), path)
            cut[name] = window(path)
        if cut["files"] is None or any(picture != cut["files"] for picture in cut.values()):
            raise Failure(f"they differ, or show nothing: see {keep}")
        return f"{len(cut['files'][0]) // 3}x{len(cut['files'])}"


def run(tap, udmabuf, guest):
    tap.run("guest_has_udmabuf", udmabuf.is_there, guest)
    tap.run("guest_device_sends_dma_bufs", udmabuf.sends, guest)
    tap.run("guest_compositor_imports_dma_bufs", udmabuf.imports, guest)
    tap.run("guest_compositor_that_refuses_dma_bufs_gets_pools", udmabuf.refuses, guest)
    tap.run("guest_device_without_udmabuf_sends_files", udmabuf.turned_off, guest)
