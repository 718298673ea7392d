"""Globals: what wayland-info tells through the wrapper, held against what it tells alone. What is not there must be named in
hidden-globals, versions may be lower, and nothing may be added."""
import os
import re
import subprocess

from tap import Failure

HIDDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'hidden-globals')


def read_hidden():
    """{name: reason}"""
    with open(HIDDEN) as file:
        lines = [line for line in file.read().splitlines() if line and not line.startswith('#')]
    return dict(line.split(None, 1) for line in lines)


def ask(world, host, wrapper):
    """{interface: versions, sorted}"""
    output = subprocess.run([*wrapper, 'wayland-info'], env=host.env, stdout=subprocess.PIPE, text=True, check=True,
                            timeout=60).stdout
    found = {}
    for name, version in re.findall(r"^interface: '(\w+)',\s+version:\s+(\d+)", output, re.MULTILINE):
        found.setdefault(name, []).append(int(version))
    return {name: sorted(versions) for name, versions in found.items()}


def compare(world, kind):
    host = getattr(world, kind)()
    native, through = ask(world, host, []), ask(world, host, world.wrapper)
    hidden = read_hidden() if world.wrapper else {}
    wrong = [f'{name} is not there, and not in {HIDDEN}' for name in native if name not in through and name not in hidden]
    wrong += [f'{name} is there, although {HIDDEN} says that it is not' for name in through if name in hidden]
    for name, versions in through.items():
        known = native.get(name, [])
        if len(versions) != len(known) or any(a > b or a < 1 for a, b in zip(versions, known)):
            wrong.append(f'{name} has the versions {versions}, not {known}')
    if wrong:
        raise Failure('\n'.join(wrong))
    lower = [f'{name} {versions[0]} of {native[name][0]}' for name, versions in through.items() if versions != native[name]]
    return f"{len(native)} globals, {len(native) - len(through)} hidden{', lower: ' if lower else ''}{', '.join(lower)}"


def cases(world):
    yield 'globals_of_weston_are_known', compare, 'new_weston'
    yield 'globals_of_sway_are_known', compare, 'sway'
