#!/usr/bin/env python3
"""Two programs on one device: one is killed at random moments, again and again, or the renderer of one is; the other must
not notice, and who lost a renderer is told so. Prints TAP.

Runs itself a second time inside the wrapper (neep run), where both programs are its children. The programs are vk-steady,
which hold every result against what it must be.
"""
import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'wayland'))
import processes
from tap import Tap

DEVICE = 'vhost-user-neep'
RENDERER = 'neep-renderer'
MARK = 'NEEP_KILL_TEST'  # in the environment of everything that the wrapper starts
SETTLE = 60.0  # seconds that the device has to clear up after the last one
ENDS = 90.0  # seconds after which a program whose renderer died hangs
ENDS_USUALLY = 5.0  # what half of the programs stay under, on a busy machine too; else it is some tens of milliseconds
# What Mesa's guest driver makes of the loss in the middle of a mapping is not a lost device.
LOSSES = ('VK_ERROR_DEVICE_LOST', 'VK_ERROR_OUT_OF_DEVICE_MEMORY', 'VK_ERROR_MEMORY_MAP_FAILED')


def renderers(root, lost=False):
    """The pids of the renderers of contexts; the one that starts them is none. Those that take the place of dead ones are
    counted when `lost` is true only."""
    found = set()
    for pid, name in processes.family(root).items():
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                words = file.read().split(b'\0')
                if name == RENDERER and b'--context' in words and (lost or b'--lost' not in words):
                    found.add(pid)
        except OSError:
            continue
    return found


def held(root):
    """What the device holds: (its fds, its renderers, files in /dev/shm); fds are -1 where they may not be counted."""
    fds = sum(processes.fd_count(pid) for pid, name in processes.family(root).items() if name == DEVICE)
    return fds, len(renderers(root, lost=True)), len(os.listdir('/dev/shm'))


def held_at_most(root):
    """What is held at any moment of a second: what programs at work hold goes up and down."""
    samples = []
    for _ in range(20):
        time.sleep(0.05)
        samples.append(held(root))
    return tuple(max(column) for column in zip(*samples))


def settle(root, before):
    """What is held when nothing more than before is, or when time is up."""
    processes.await_true(lambda: all(now <= then for now, then in zip(held(root), before)), SETTLE, 0.1)
    return held(root)


def start(steady, folder, rounds):
    """rounds 0: until its standard input ends."""
    return subprocess.Popen([steady, folder, str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def await_work(program):
    return program.stdout.readline() == b'working\n'


def end(program):
    """Returns what it said last."""
    program.wait()
    program.stdin.close()
    program.stdout.close()
    with program.stderr:
        return program.stderr.read().decode(errors='replace')


def await_renderer(root, known, program):
    """The pid of the renderer that is not among the known ones; None when the program ended first."""
    while program.poll() is None:
        new = renderers(root) - known
        if new:
            return new.pop()
        time.sleep(0.001)
    return None


def kill_programs(args, folder, span):
    for _ in range(args.kills):
        victim = start(args.steady, folder, 0)
        time.sleep(random.uniform(0, span))
        victim.kill()
        end(victim)


def kill_renderer(args, folder, root, is_at_work):
    """Returns the seconds until the program ended, its status and what it said."""
    known = renderers(root)
    victim = start(args.steady, folder, 0)
    if is_at_work and not await_work(victim):
        return 0, 0, end(victim)
    renderer = await_renderer(root, known, victim)
    if renderer is None:
        return 0, 0, end(victim)
    time.sleep(random.uniform(0, 0.2))
    begin = time.monotonic()
    os.kill(renderer, signal.SIGKILL)
    try:
        victim.wait(ENDS)
    except subprocess.TimeoutExpired:
        victim.kill()
    taken = time.monotonic() - begin
    said = end(victim)
    return taken, victim.returncode, said


def spread(times):
    return f'after {statistics.median(times) * 1000:.0f} ms, {max(times) * 1000:.0f} ms at most'


def kill_renderers(args, folder, root, tap):
    """Of programs at work, and at any moment."""
    working = [kill_renderer(args, folder, root, True) for _ in range(args.renderer_kills // 2)]
    times = [taken for taken, _, _ in working]
    silent = [said for _, status, said in working if status != 1 or not any(loss in said for loss in LOSSES)]
    tap.result(statistics.median(times) < ENDS_USUALLY and max(times) < ENDS,
               'a_program_ends_when_its_renderer_is_killed', f'{len(working)} of them, {spread(times)}')
    tap.result(not silent, 'it_is_told_that_its_device_is_lost', f'not {len(silent)}')
    for said in silent[:3]:
        print(f'# {said!r}')
    others = [kill_renderer(args, folder, root, False) for _ in range(args.renderer_kills - len(working))]
    times = [taken for taken, _, _ in others]
    # Whatever it asked last had an answer that it understands: none crashes.
    tap.result(max(times) < ENDS and all(status == 1 for _, status, _ in others), 'it_also_ends_at_any_other_moment',
               f'{len(others)} of them, {spread(times)}, status {sorted({status for _, status, _ in others})}')
    for taken, status, said in others:
        if taken >= ENDS or status != 1:
            print(f'# {taken:.1f} s, status {status}: {said!r}')


def inside(args):
    tap = Tap()
    random.seed(args.seed)
    root = os.getppid()
    with tempfile.TemporaryDirectory() as folder:
        other = start(args.steady, folder, 0)
        tap.result(await_work(other), 'a_program_works_beside_those_to_be_killed')
        begin = time.monotonic()
        victim = start(args.steady, folder, 0)
        tap.result(await_work(victim), 'a_second_program_works_on_the_same_device')
        span = 2 * (time.monotonic() - begin)
        tap.result(len(renderers(root)) == 2, 'each_has_a_renderer')
        victim.kill()
        end(victim)
        processes.await_true(lambda: len(renderers(root, lost=True)) == 1, SETTLE)
        before = held_at_most(root)
        kill_programs(args, folder, span)
        kill_renderers(args, folder, root, tap)
        tap.result(other.poll() is None, 'the_other_program_works_on', f'{args.kills} kills within {span * 1000:.0f} ms')
        after = settle(root, before)
        # The device hides itself from its own user.
        fine = after[0] <= before[0] if os.geteuid() == 0 else after[0] == before[0] == -1
        tap.result(fine, 'the_device_keeps_no_fd', f'{before[0]} before, {after[0]} after; -1: not to be seen')
        tap.result(after[1] <= before[1], 'no_renderer_is_left', f'{before[1]} before, {after[1]} after')
        tap.result(after[2] <= before[2], 'no_shared_memory_is_left', f'{before[2]} before, {after[2]} after')
        fresh = start(args.steady, folder, 3)
        tap.result(fresh.wait(ENDS) == 0, 'a_new_program_works_afterwards')
        other.stdin.close()
        tap.result(other.wait(ENDS) == 0, 'every_result_of_the_other_program_is_exact')
    return tap


def outside(args):
    mark = str(os.getpid())
    command = args.wrapper.split() + [sys.executable, os.path.abspath(__file__), '--inside', '--steady', args.steady,
                                      '--kills', str(args.kills), '--renderer-kills', str(args.renderer_kills),
                                      '--seed', str(args.seed)]
    done = subprocess.run(command, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    print(done.stdout, end='')
    tap = Tap(first=1 + sum(line.startswith(('ok', 'not ok')) for line in done.stdout.splitlines()))
    tap.result(done.returncode == 0, 'the_run_ends_well', f'status {done.returncode}')
    # A kernel with much else to do may take longer to end the process than the device waits to hear how it ended.
    told = sum(done.stderr.count(f'is lost: its renderer {how}')
               for how in ('was killed by SIGKILL', 'closed the connection'))
    tap.result(told == args.renderer_kills, 'the_log_names_each_loss', f'{told} of {args.renderer_kills}')
    if tap.failed:
        print(''.join(f'# {line}\n' for line in done.stderr.splitlines()[-20:]), end='')
    is_clean = processes.await_true(lambda: not processes.marked(MARK, mark), SETTLE, 0.1) is not None
    left = {} if is_clean else processes.marked(MARK, mark)
    tap.result(is_clean, 'no_process_is_left', ', '.join(f'{name} ({pid})' for pid, name in left.items()))
    return tap


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steady', required=True, help='the program vk-steady')
    parser.add_argument('--wrapper', default='', help='what it all runs under')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--renderer-kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return 1 if inside(args).failed else 0
    print(f'# --seed {args.seed}', flush=True)
    tap = outside(args)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
