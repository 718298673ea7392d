"""Windows of Vulkan and OpenGL programs on compositors that take no dma-bufs, with the Mesa of a later Debian: they consist of
dma-bufs all the same, and look as they do alone, where Mesa copies them to shared memory."""
import os
import re
import subprocess

import picture
from case_pictures import await_empty, await_picture, await_rest, shoot
from tap import Failure, Skip

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts')
NO_MIRROR = 3  # mesa-tree.sh
PATIENCE = 60  # seconds: a renderer compiles shaders


class Mesa:
    """How programs are started in the tree, alone and through neep."""

    def __init__(self, world):
        made = subprocess.run([os.path.join(SCRIPTS, 'mesa-tree.sh'), 'trixie'], stdout=subprocess.PIPE, text=True)
        if made.returncode == NO_MIRROR:
            raise Skip('the mirror cannot be reached')
        if made.returncode != 0:
            raise Failure(f'mesa-tree.sh ended with status {made.returncode}')
        self.alone = [made.stdout.strip()]
        neep = [os.path.join(world.build, 'src/cli/neep'), 'run', '--wayland', '--']
        self.through = self.alone + (neep if world.wrapper else [])
        # A second proxy, on the same device.
        self.copied = self.through + [os.path.join(world.build, 'guest/wayland/neep-wayland'), '--copy-buffers',
                                      '--log', 'debug', '--']
        self.is_through = bool(world.wrapper)


def check_dma_bufs(mesa, client):
    """What the client has told of its messages."""
    with open(client.log, errors='replace') as log:
        text = log.read()
    if mesa.is_through and ('.create_immed(' not in text or '.create_pool(' in text):
        raise Failure(f'the window does not consist of dma-bufs, see {client.log}')


def check_copied(client):
    """What its proxy has told at the end."""
    with open(client.log, errors='replace') as log:
        if re.search(r'[1-9]\d* bytes of buffers copied', log.read()) is None:
            raise Failure(f'nothing was copied, see {client.log}')


def vulkan(world, kind, way='through'):
    """A program of ours, which says when its last picture is shown."""
    mesa = Mesa(world)
    if way != 'through' and not mesa.is_through:
        raise Skip('alone, there is no proxy')
    program = os.path.join(world.build, 'tests/vulkan/wayland-client')
    want = None
    for wrapper, name in ((mesa.alone, 'native'), (getattr(mesa, way), 'wrapped')):
        host = getattr(world, kind)()
        client = world.start(host, [program], wrapper=wrapper, env={'WAYLAND_DEBUG': '1'})
        if client.line(PATIENCE) != 'shown':
            raise Failure(f'it ended with status {client.wait()}\n{client.said()}')
        if want is None:
            want = shoot(world, host, f'vulkan-{kind}-{name}')
            if picture.is_same(want, host.empty):
                raise Failure('natively the screen stays empty')
        else:
            await_picture(world, host, want, f'vulkan-{kind}-{name}')
            check_dma_bufs(mesa, client)
        client.finish()
        await_empty(world, host, f'vulkan-{kind}')
        if wrapper is mesa.copied:
            check_copied(client)


def opengl(world):
    """A triangle that does not move, as dma-bufs and as the shared memory that Mesa copies it to. weston shows pictures of ten bits
    all white."""
    mesa = Mesa(world)
    if not mesa.is_through:
        raise Skip('alone, there are no dma-bufs')
    env = {'MESA_LOADER_DRIVER_OVERRIDE': 'zink', 'WAYLAND_DEBUG': '1', 'allow_rgb10_configs': 'false'}
    command = ['egltri_wayland.x86_64-linux-gnu']
    host = world.new_weston()
    client = world.start(host, command, wrapper=mesa.through, env={**env, 'MESA_VK_WSI_DEBUG': 'sw'})
    want = await_rest(world, host, 'opengl-shm')
    client.kill()
    host = world.new_weston()
    client = world.start(host, command, wrapper=mesa.through, env=env)
    await_picture(world, host, want, 'opengl-dma-buf')
    check_dma_bufs(mesa, client)
    client.kill()
    await_empty(world, host, 'opengl')


def frames(world, kind):
    """A cube that turns, to its last frame."""
    mesa = Mesa(world)
    client = world.start(getattr(world, kind)(), ['vkcube', '--wsi', 'wayland', '--c', '40'], wrapper=mesa.through,
                         env={'WAYLAND_DEBUG': '1'})
    if client.wait(PATIENCE) != 0:
        raise Failure(f'status {client.process.returncode}\n{client.said()}')
    check_dma_bufs(mesa, client)


def cases(world):
    for kind in ('new_weston', 'sway'):
        name = kind.split('_')[-1]
        yield f'picture_of_a_vulkan_program_on_{name}_is_the_same', vulkan, kind
        yield f'vkcube_shows_its_frames_on_{name}', frames, kind
    yield 'picture_of_a_vulkan_program_is_the_same_when_dma_bufs_are_copied', vulkan, 'new_weston', 'copied'
    yield 'picture_of_an_opengl_program_is_the_same', opengl
