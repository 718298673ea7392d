#!/usr/bin/env python3
"""Runs piglit tests on the host's driver and through neep, holds the verdicts against each other and prints TAP.

A test whose verdicts differ runs once more on both sides, because some of piglit's tests depend on time. If they differ
still, it runs on the host's driver as a guest is shown it (as_guest.c): a verdict that is the same as that one is the
guest driver's doing, which lists fewer extensions. What differs for other reasons that docs/conformance.md gives is in the
file `explained`: regular expressions of verdicts.
"""
import argparse
import bz2
import collections
import json
import os
import re
import subprocess
import sys
import time

# zink refuses a device of the type CPU without the variable; through neep the device is a virtual GPU.
NATIVE = {'LIBGL_ALWAYS_SOFTWARE': '1'}
COMMON = {'MESA_LOADER_DRIVER_OVERRIDE': 'zink', 'PIGLIT_PLATFORM': 'surfaceless_egl'}
TIME_LIMIT = 300  # seconds a test


def read_verdicts(folder):
    """Verdicts by test, or by test and subtest where there are any."""
    with bz2.open(os.path.join(folder, 'results.json.bz2')) as file:
        tests = json.load(file)['tests']
    verdicts = {}
    for name, test in tests.items():
        subtests = {key: value for key, value in (test['subtests'] or {}).items() if key != '__type__'}
        for key, value in subtests.items():
            verdicts[f'{name}@{key}'] = value
        # A test that dies says nothing of the subtests that were still to come.
        if not subtests or test['result'] in ('crash', 'timeout', 'incomplete'):
            verdicts[name] = test['result']
    return verdicts


class Piglit:
    def __init__(self, args):
        self.args = args
        self.enter = args.enter.split()
        self.folder = args.keep
        os.makedirs(self.folder, exist_ok=True)

    def names(self):
        """The tests of the group, all or a fixed part."""
        command = self.enter + ['piglit', 'print-cmd', self.args.profile, '-t', self.args.tests]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        names = sorted(line.split(' ::: ')[0] for line in lines if ' ::: ' in line)
        return names if self.args.long else names[1::self.args.every]

    def run(self, kind, names, wrapper, environment):
        """Verdicts of the named tests and the seconds they took together."""
        results = os.path.join(self.folder, kind)
        listed = results + '.tests'
        with open(listed, 'w') as file:
            file.write('\n'.join(names) + '\n')
        command = self.enter + wrapper + [
            'piglit', 'run', '--overwrite', '--jobs', str(self.args.jobs), '--timeout', str(TIME_LIMIT),
            '--log-level', 'quiet', '--test-list', listed, self.args.profile, results]
        start = time.monotonic()
        with open(results + '.log', 'w') as log:
            status = subprocess.run(command, env={**os.environ, **COMMON, **environment}, stdout=log,
                                    stderr=subprocess.STDOUT, check=False).returncode
        seconds = time.monotonic() - start
        if not os.path.exists(os.path.join(results, 'results.json.bz2')):
            print(f'not ok - piglit_{kind} ended with status {status} and without results, see {results}.log')
            sys.exit(1)
        return read_verdicts(results), seconds


def differing(first, second):
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def read_explained():
    with open(os.path.join(os.path.dirname(__file__), 'explained')) as file:
        lines = [line.split('#')[0].strip() for line in file]
    return [re.compile(line) for line in lines if line]


def belongs(one, name):
    """Whether a verdict is the test's or one of its subtests'."""
    return one == name or one.startswith(name + '@')


def tests_of(names, differences):
    """The tests to which the differing verdicts belong."""
    return [name for name in names if any(belongs(one, name) for one in differences)]


def totals(verdicts):
    counted = collections.Counter(verdicts.values())
    return ', '.join(f'{count} {verdict}' for verdict, count in sorted(counted.items()))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--enter', required=True, help='what runs a command where piglit is')
    parser.add_argument('--wrapper', required=True, help="what neep's half runs under")
    parser.add_argument('--layer', required=True, help='the folder of as_guest and shown')
    parser.add_argument('--profile', default='quick_gl')
    parser.add_argument('--tests', default='spec@!opengl 1.1@.*', help='a regular expression')
    parser.add_argument('--long', action='store_true', help='all of them')
    parser.add_argument('--every', type=int, default=3, help='else one of so many')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--native', action='store_true', help='the native half only')
    parser.add_argument('--keep', required=True, help='a folder for the results')
    return parser.parse_args()


def report(names, native, neep, as_guest):
    """A line for each test; returns how many differ."""
    wrong = 0
    explained = read_explained()
    both = differing(native, neep)
    own = [one for one in both if as_guest.get(one) != neep.get(one)]
    all_differences = [one for one in own if not any(pattern.fullmatch(one) for pattern in explained)]
    print(f"# {len(both) - len(own)} verdicts differ on the host's driver too, as a guest is shown it")
    print(f'# {len(own) - len(all_differences)} verdicts differ as docs/conformance.md explains')
    for number, name in enumerate(names, 1):
        differences = [one for one in all_differences if belongs(one, name)]
        wrong += bool(differences)
        print(f"{'not ok' if differences else 'ok'} {number} - piglit {name.replace('#', '_')}")
        for one in differences[:10]:
            print(f'# {one}: native {native.get(one)}, through neep {neep.get(one)}, as a guest {as_guest.get(one)}')
    return wrong


def run_again(piglit, names, sides):
    """Replaces the verdicts of the named tests on both sides by those of a second run."""
    print(f'# once more: {len(names)} tests')
    for kind, verdicts, wrapper, environment in sides:
        fresh, _ = piglit.run(kind + '-again', names, wrapper, environment)
        for one in [one for one in verdicts if any(belongs(one, name) for name in names)]:
            del verdicts[one]
        verdicts.update(fresh)


def run_as_guest(piglit, names, layer, wrapper):
    """Verdicts of the named tests on the host's driver as a guest is shown it."""
    shown = os.path.join(piglit.folder, 'shown')
    with open(shown, 'w') as file:
        subprocess.run(piglit.enter + wrapper + [os.path.join(layer, 'shown')], stdout=file, check=True)
    environment = {'NEEP_AS_GUEST': shown, 'VK_LAYER_PATH': layer, 'VK_INSTANCE_LAYERS': 'VK_LAYER_NEEP_as_guest'}
    verdicts, _ = piglit.run('as-guest', names, [], {**NATIVE, **environment})
    return verdicts


def main():
    args = parse()
    piglit = Piglit(args)
    names = piglit.names()
    native, native_time = piglit.run('native', names, [], NATIVE)
    print(f'# native: {totals(native)} in {native_time:.0f} s')
    if args.native:
        return 0
    wrapper = args.wrapper.split()
    neep, neep_time = piglit.run('neep', names, wrapper, {})
    print(f'# through neep: {totals(neep)} in {neep_time:.0f} s')
    again = tests_of(names, differing(native, neep))
    if again:
        run_again(piglit, again, (('native', native, [], NATIVE), ('neep', neep, wrapper, {})))
    left = tests_of(names, differing(native, neep))
    as_guest = run_as_guest(piglit, left, args.layer, wrapper) if left else {}
    wrong = report(names, native, neep, as_guest)
    print(f'# time: {neep_time:.0f} s through neep, {native_time:.0f} s natively, {args.jobs} at a time')
    print(f'1..{len(names)}')
    return 1 if wrong else 0



if __name__ == '__main__':
    sys.exit(main())
