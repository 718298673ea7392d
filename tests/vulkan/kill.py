#!/usr/bin/env python3
"""Two programs on one device: one is killed at random moments, again and again, the other must not notice. Prints TAP.

Runs itself a second time inside the wrapper (neep run), where both programs are its children. The programs are vk-steady,
which hold every result against what it must be.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time

DEVICE = 'vhost-user-neep'
RENDERER = 'neep-renderer'
MARK = 'NEEP_KILL_TEST'  # in the environment of everything that the wrapper starts
SETTLE = 10.0  # seconds that the device has to clear up after the last one


class Tap:
    def __init__(self, first=1):
        self.number = first - 1
        self.failed = False

    def result(self, fine, name, note=''):
        self.number += 1
        self.failed = self.failed or not fine
        print(f"{'ok' if fine else 'not ok'} {self.number} - {name}{f' ({note})' if note else ''}", flush=True)


def processes():
    """{pid: (parent, name)} of all that can be seen."""
    found = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/stat') as file:
                name, rest = file.read().split('(', 1)[1].rsplit(')', 1)
        except OSError:
            continue
        found[int(entry)] = (int(rest.split()[1]), name)
    return found


def descendants(root):
    everything = processes()
    family = {root}
    while True:
        more = {pid for pid, (parent, _) in everything.items() if parent in family} - family
        if not more:
            return {pid: everything[pid][1] for pid in family if pid in everything}
        family |= more


def held(root):
    """What the device holds: (its fds, its renderers, files in /dev/shm); fds are -1 where they may not be counted."""
    family = descendants(root)
    fds = 0
    for pid, name in family.items():
        if name == DEVICE:
            try:
                fds += len(os.listdir(f'/proc/{pid}/fd'))
            except PermissionError:
                fds = -1
    renderers = sum(name.startswith(RENDERER) for name in family.values())
    return fds, renderers, len(os.listdir('/dev/shm'))


def start(steady, folder, rounds):
    """rounds 0: until its standard input ends. Returns when it is at work where `rounds` is 0."""
    return subprocess.Popen([steady, folder, str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def await_work(program):
    return program.stdout.readline() == b'working\n'


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
        victim.kill()
        victim.wait()
        time.sleep(1)
        before = held(root)
        for _ in range(args.kills):
            victim = start(args.steady, folder, 0)
            time.sleep(random.uniform(0, span))
            victim.kill()
            victim.wait()
            victim.stdin.close()
            victim.stdout.close()
        tap.result(other.poll() is None, 'the_other_program_works_on', f'{args.kills} kills within {span * 1000:.0f} ms')
        limit = time.monotonic() + SETTLE
        while held(root) > before and time.monotonic() < limit:
            time.sleep(0.1)
        after = held(root)
        tap.result(after[0] <= before[0] and after[0] != -1, 'the_device_keeps_no_fd', f'{before[0]} before, {after[0]} after')
        tap.result(after[1] <= before[1], 'no_renderer_is_left', f'{before[1]} before, {after[1]} after')
        tap.result(after[2] <= before[2], 'no_shared_memory_is_left', f'{before[2]} before, {after[2]} after')
        fresh = start(args.steady, folder, 3)
        tap.result(fresh.wait(60) == 0, 'a_new_program_works_afterwards')
        other.stdin.close()
        tap.result(other.wait(60) == 0, 'every_result_of_the_other_program_is_exact')
    return tap


def marked(mark):
    """Processes that the wrapper has left behind."""
    found = []
    for pid, (_, name) in processes().items():
        try:
            with open(f'/proc/{pid}/environ', 'rb') as file:
                if f'{MARK}={mark}'.encode() in file.read().split(b'\0'):
                    found.append(f'{name} ({pid})')
        except OSError:
            continue
    return found


def outside(args):
    mark = str(os.getpid())
    command = args.wrapper.split() + [sys.executable, os.path.abspath(__file__), '--inside', '--steady', args.steady,
                                      '--kills', str(args.kills), '--seed', str(args.seed)]
    done = subprocess.run(command, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end='')
    tap = Tap(first=1 + sum(line.startswith(('ok', 'not ok')) for line in done.stdout.splitlines()))
    tap.result(done.returncode == 0, 'the_run_ends_well', f'status {done.returncode}')
    time.sleep(0.5)
    left = marked(mark)
    tap.result(not left, 'no_process_is_left', ', '.join(left))
    return tap


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steady', required=True, help='the program vk-steady')
    parser.add_argument('--wrapper', default='', help='what it all runs under')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return 1 if inside(args).failed else 0
    print(f'# --seed {args.seed}', flush=True)
    tap = outside(args)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
