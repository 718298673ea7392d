"""OpenGL through zink in a guest, held against the same programs here, without a VM and without neep.

Here they run in an unpacked Debian release of the guest's (scripts/mesa-tree.sh), with this machine's own Vulkan driver put
into it: the same zink on the same driver as behind the device."""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "piglit"))

import compare
from machine import Failure

LIBRARIES = "usr/lib/x86_64-linux-gnu"
RUNNER = os.path.join(HERE, "..", "piglit", "run.sh")
NAMES = os.path.join(HERE, "..", "piglit", "guest-tests")
TREE_S = 900
DRIVERS = "/usr/share/vulkan/icd.d"


class Tree:
    """The unpacked release, with piglit in it.

    enter   the program that runs commands in it
    folder  libraries of the driver that the release lacks go there"""

    def __init__(self, enter, folder):
        self.enter = enter
        self.root = os.path.join(os.path.dirname(enter), "root")
        self.folder = folder
        self.environment = self.driver()

    def driver(self):
        """Variables that lead to this machine's lavapipe."""
        manifests = [name for name in os.listdir(DRIVERS) if name.startswith("lvp")]
        if not manifests:
            raise Failure(f"this machine has no lavapipe in {DRIVERS}")
        with open(os.path.join(DRIVERS, manifests[0]), encoding="utf-8") as file:
            manifest = json.load(file)
        library = os.path.join("/", LIBRARIES, os.path.basename(manifest["ICD"]["library_path"]))
        os.makedirs(self.folder)
        listed = subprocess.run(["ldd", library], check=True, capture_output=True, text=True).stdout
        for path in [library] + re.findall(r"=> (/\S+)", listed):
            name = os.path.basename(path)
            if path == library or not os.path.exists(os.path.join(self.root, LIBRARIES, name)):
                shutil.copy(path, self.folder)
        manifest["ICD"]["library_path"] = os.path.join(self.folder, os.path.basename(library))
        own = os.path.join(self.folder, "driver.json")
        with open(own, "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        return [f"LD_LIBRARY_PATH={self.folder}", f"VK_DRIVER_FILES={own}", "LIBGL_ALWAYS_SOFTWARE=1"]

    def run(self, words, driver=True):
        """Runs a command in it, on this machine's driver; what it says."""
        command = [self.enter, "env", *(self.environment if driver else ()), *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TREE_S, check=False)
        if done.returncode != 0:
            raise Failure(f"natively {words[0]} ends with {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout


class OpenGL:
    """What the guest gets on its disk: self.files; what it runs, and what must come of it."""

    def __init__(self, build, enter, folder):
        self.folder = folder
        self.scene = os.path.join(build, "tests/gl/gl-scene")
        self.tree = Tree(enter, os.path.join(folder, "driver"))
        with open(NAMES, encoding="utf-8") as file:
            self.names = [line.strip() for line in file if line.strip() and line[0] != "#"]
        self.piglit = os.path.join(folder, "piglit")
        self.gather()
        self.files = [self.scene, self.piglit, RUNNER]

    # ---- piglit's programs ----

    def gather(self):
        """A folder for run.sh: the programs of the tests and their libraries, and the list of commands."""
        commands = self.commands()
        for part in ("bin", "lib", "more"):
            os.makedirs(os.path.join(self.piglit, part))
        for name in sorted({command.split()[0] for command in commands}):
            path = os.path.join(LIBRARIES, "piglit/bin", name)
            shutil.copy(os.path.join(self.tree.root, path), os.path.join(self.piglit, "bin"))
            self.gather_libraries("/" + path)
        with open(os.path.join(self.piglit, "list"), "w", encoding="utf-8") as file:
            file.write("\n".join(commands) + "\n")

    def commands(self):
        """Program and arguments of each test."""
        printed = self.tree.run(["piglit", "print-cmd", "quick_gl"], driver=False)
        known = dict(line.split(" ::: ", 1) for line in printed.splitlines() if " ::: " in line)
        missing = [name for name in self.names if name not in known]
        if missing:
            raise Failure(f"this piglit does not know {missing}")
        return [known[name].split("piglit/bin/", 1)[1] for name in self.names]

    def gather_libraries(self, program):
        listed = self.tree.run(["LD_TRACE_LOADED_OBJECTS=1", program], driver=False)
        for path in re.findall(r"=> (/\S+)", listed):
            part = "lib" if "/piglit/" in path else "more"
            target = os.path.join(self.piglit, part, os.path.basename(path))
            if not os.path.exists(target):
                shutil.copy(os.path.join(self.tree.root, "usr", path.removeprefix("/usr").lstrip("/")), target)

    # ---- cases ----

    def draws(self, guest, patience):
        """Our own program on the guest's gfxstream driver; it says its renderer."""
        lines = guest.run("mkdir -p /mnt/out/opengl && MESA_LOADER_DRIVER_OVERRIDE=zink /mnt/gl-scene /mnt/out/opengl", patience)
        renderer = [line for line in lines if line.startswith("renderer:")]
        if not renderer or "zink" not in renderer[0] or "GFXStream" not in renderer[0]:
            raise Failure("it is not zink on gfxstream:\n" + "\n".join(lines))
        native = os.path.join(self.folder, "native", "opengl")
        os.makedirs(native)
        self.tree.run(["MESA_LOADER_DRIVER_OVERRIDE=zink", self.scene, native])
        return renderer[0].split(":", 1)[1].strip()

    def runs_piglit(self, guest, patience):
        guest.run("bash /mnt/run.sh /mnt/piglit /mnt/piglit/list /mnt/out/piglit 2>/dev/null", patience)
        self.tree.run(["bash", RUNNER, self.piglit, os.path.join(self.piglit, "list"), os.path.join(self.folder, "native/piglit")])

    def compares_piglit(self, out):
        """After the guest has ended: the verdicts, subtest by subtest."""
        native = self.verdicts(os.path.join(self.folder, "native/piglit"))
        guest = self.verdicts(os.path.join(out, "piglit"))
        explained = compare.read_explained()
        wrong = [f"{name}: natively {native.get(name)}, in the guest {guest.get(name)}" for name in compare.differing(native, guest)
                 if not any(pattern.fullmatch(name) for pattern in explained)]
        if wrong:
            raise Failure(f"{len(wrong)} verdicts differ\n" + "\n".join(wrong[:10]))
        return f"{len(self.names)} tests: {compare.totals(native)}"

    def verdicts(self, folder):
        """By test, and by test and subtest."""
        verdicts = {}
        for number, name in enumerate(self.names, 1):
            with open(os.path.join(folder, str(number)), encoding="utf-8", errors="replace") as file:
                said = file.read()
            for subtest, verdict in re.findall(r'PIGLIT: \{"subtest": \{"(.*?)" : "(\w+)"', said):
                verdicts[f"{name}@{subtest}"] = verdict
            result = re.findall(r'PIGLIT: \{"result": "(\w+)"', said)
            status = re.findall(r"^status: (\d+)$", said, re.MULTILINE)[-1]
            verdicts[name] = result[-1] if result else f"ended with {status}"
        return verdicts
