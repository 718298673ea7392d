"""Compositors of the host, without a screen and without a GPU: weston, whose picture is compared, and sway, for what needs a
seat. Each has a runtime folder of its own."""
import os
import re
import shutil
import subprocess
import tempfile

import picture
from processes import await_true
from tap import Failure

WIDTH, HEIGHT = 800, 600
PATIENCE = 60  # seconds
BACKGROUND = (0x20, 0x60, 0xa0)
WESTON_CONFIG = f"""[core]
shell=desktop-shell.so
idle-time=0
require-input=false
[shell]
panel-position=none
background-color=0xff{''.join(f'{value:02x}' for value in BACKGROUND)}
animation=none
close-animation=none
startup-animation=none
locking=false
"""
SWAY_CONFIG = f"""xwayland disable
output HEADLESS-1 mode {WIDTH}x{HEIGHT}@60Hz
default_border none
default_floating_border none
focus_follows_mouse no
seat * pointer_constraint enable
for_window [app_id="org.gtk.WidgetFactory4"] floating enable, move absolute position 0 0
""" + ''.join(f'for_window [app_id="neep-test-{i}"] floating enable, move absolute position {x} {y}\n'
              for i, (x, y) in enumerate(((0, 0), (400, 0), (0, 300), (400, 300)), 1))


class Compositor:
    """One that runs. Its environment for clients is `env`."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        self.runtime = os.path.join(self.folder, 'runtime')
        os.makedirs(self.runtime, mode=0o700)
        self.config = os.path.join(self.folder, 'config')
        self.log = os.path.join(self.folder, 'log')
        self.env = {**os.environ, 'XDG_RUNTIME_DIR': self.runtime}
        for name in ('WAYLAND_DISPLAY', 'WAYLAND_SOCKET', 'DISPLAY'):
            self.env.pop(name, None)
        self.process = None

    def _start(self, command, config, env=()):
        with open(self.config, 'w') as file:
            file.write(config)
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**self.env, **dict(env)})

        def socket():
            if self.process.poll() is not None:
                raise Failure(f'{command[0]} ended with status {self.process.returncode}, see {self.log}')
            return [name for name in os.listdir(self.runtime) if re.fullmatch(r'wayland-[a-z\d]+', name)]
        if await_true(socket, PATIENCE) is None:
            raise Failure(f'{command[0]} opens no socket, see {self.log}')
        self.env['WAYLAND_DISPLAY'] = socket()[0]

        # The socket is there before anybody listens, who listens a moment before it serves.
        def serves():
            info = subprocess.run(['wayland-info'], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=PATIENCE)
            return info.returncode == 0
        if await_true(serves, PATIENCE) is None:
            raise Failure(f'{command[0]} does not serve, see {self.log}')

    def run(self, command, **options):
        """A program directly on the compositor, to its end."""
        return subprocess.run(command, env=self.env, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, **options).stdout

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()


class Weston(Compositor):
    """Its shell places windows by chance, but by the same chance in each new one: a case takes a new one for each window whose
    picture it compares."""

    known_empty = []  # screenshots of the background alone: to look at them as pixels takes long

    def __init__(self, folder, name='weston'):
        super().__init__(folder, name)
        version = subprocess.run(['weston', '--version'], stdout=subprocess.PIPE, text=True, check=True).stdout
        is_new = int(re.search(r'(\d+)', version).group(1)) >= 12
        backend = ['--backend=headless', '--renderer=pixman'] if is_new else ['--backend=headless-backend.so', '--use-pixman']
        self._start(['weston', *backend, f'--width={WIDTH}', f'--height={HEIGHT}', '--socket=wayland-weston', '--debug',
                     f'--config={self.config}'], WESTON_CONFIG)
        self.empty = os.path.join(self.folder, 'empty.png')

        def is_ready():
            self.screenshot(self.empty)
            with open(self.empty, 'rb') as file:
                data = file.read()
            if data not in Weston.known_empty and picture.colors(self.empty) == {BACKGROUND}:
                Weston.known_empty.append(data)
            return data in Weston.known_empty
        if await_true(is_ready, PATIENCE) is None:
            raise Failure(f'weston does not show its background, see {self.empty}')

    def screenshot(self, path):
        """Its shooter chooses the name of the file."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.run(['weston-screenshooter'], cwd=folder)
            names = os.listdir(folder)
            if not names:
                raise Failure('weston-screenshooter left no picture')
            shutil.move(os.path.join(folder, names[0]), path)

    suffix = '.png'


NOBODY = 65534


class Sway(Compositor):
    """It does not run as root: then it is nobody's."""

    def __init__(self, folder, name='sway'):
        super().__init__(folder, name)
        command = ['sway', '--config', self.config]
        if os.geteuid() == 0:
            os.chmod(folder, 0o711)
            os.chown(self.runtime, NOBODY, NOBODY)
            command = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', *command]
        self._start(command, SWAY_CONFIG,
                    {'WLR_BACKENDS': 'headless', 'WLR_RENDERER': 'pixman', 'WLR_LIBINPUT_NO_DEVICES': '1'})
        self.empty = os.path.join(self.folder, 'empty.ppm')
        self.screenshot(self.empty)

    def screenshot(self, path):
        self.run(['grim', '-t', 'ppm', path])

    suffix = '.ppm'
