"""Explicit synchronization, which the proxy has where dma-bufs are: a client that says itself when its pictures are drawn, and is told
when they have been given back."""
import picture
from case_gpu import Mesa
from case_pictures import await_empty, await_picture, shoot
from tap import Failure, Skip


def go_on(client):
    client.process.stdin.write(b'go on\n')
    client.process.stdin.flush()


def late(world):
    """A picture is seen when it is drawn, and not when it is committed; another window's is seen meanwhile."""
    mesa = Mesa(world)
    if not mesa.is_through:
        raise Skip('alone, there are no timelines')
    host = world.new_weston()
    client = world.start(host, [world.program('wl-sync'), 'neep-test-1'], wrapper=mesa.through, env={'WAYLAND_DEBUG': '1'})
    client.expect('first')
    first = shoot(world, host, 'sync-first')
    if picture.is_same(first, host.empty):
        raise Failure('the screen stays empty')
    client.expect('waiting')
    if not picture.is_same(shoot(world, host, 'sync-waiting'), first):
        raise Failure('the screen has changed before the picture is drawn')
    go_on(client)
    client.expect('second')
    second = shoot(world, host, 'sync-second')
    if picture.is_same(second, first):
        raise Failure('the second picture is not seen')
    go_on(client)
    client.expect('other')
    other = shoot(world, host, 'sync-other')
    if picture.is_same(other, second):
        raise Failure('the second window is not seen while the first one waits')
    go_on(client)
    client.expect('both')
    if picture.is_same(shoot(world, host, 'sync-both'), other):
        raise Failure('the first window has not changed when its picture is drawn')
    go_on(client)
    client.expect('released')
    await_picture(world, host, second, 'sync-last')
    client.finish()
    await_empty(world, host, 'sync')


def cases(_world):
    yield 'picture_appears_when_its_acquire_point_signals', late
