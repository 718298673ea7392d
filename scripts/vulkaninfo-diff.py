#!/usr/bin/env python3
"""Holds what vulkaninfo shows through neep against what it shows without, and prints TAP.

Each difference must be explained by a row of docs/conformance.md:
    | `PATTERN` | reason |
in the part between <!-- vulkaninfo --> and <!-- end -->. PATTERN consists of shell patterns for each step of a path
"section/member/item". A section that only one side has is one difference.
"""
import argparse
import fnmatch
import re
import subprocess
import sys

FORMAT_GROUP = re.compile(r'Common Format Group\[\d+\]:|Unsupported Formats:')


def entries(text):
    """The lines of vulkaninfo's tree as {path: value}; an item of a list is a path of its own."""
    found, stack = {}, []
    for line in text.splitlines():
        words = line.strip()
        if not words or set(words) <= set('=-'):
            continue
        depth = len(line) - len(line.lstrip('\t'))
        # How many items a list has is told by the items.
        words = re.sub(r': count = \d+$', ':', words)
        key, mark, value = words.partition(' = ')
        if not mark:
            key, _, value = words.partition(':')
        del stack[depth:]
        stack.extend([''] * (depth - len(stack)))
        stack.append(key.strip())
        path = '/'.join(part for part in stack if part)
        while path in found:
            path += '+'
        found[path] = value.strip()
    return found


def by_format(text):
    """The second part of the output, which groups formats by what they can do, as {format/property: ''}."""
    found = {}
    for group in FORMAT_GROUP.split(text)[1:]:
        names, _, properties = group.partition('Properties:\n')
        formats = re.findall(r'^\tFORMAT_\w+$', names, re.MULTILINE)
        for path, value in entries(properties).items():
            for name in formats:
                # The names tell which of two queries vulkaninfo could use, not what it was told.
                found[f'formats/{name.strip()}/{path}'.replace('FORMAT_FEATURE_2_', 'FORMAT_FEATURE_')] = value
    return found


def shown(command):
    """What vulkaninfo shows, and its exit status."""
    done = subprocess.run(command + ['vulkaninfo', '--show-formats'], capture_output=True, text=True, check=False)
    general, _, formats = done.stdout.partition('Format Properties:\n')
    return {**entries(general), **by_format(formats)}, done.returncode, done.stderr


def explanations(path):
    with open(path) as file:
        part = file.read().partition('<!-- vulkaninfo -->')[2].partition('<!-- end -->')[0]
    found = dict(re.findall(r'^\| `([^`]+)` \| (.+) \|$', part, re.MULTILINE))
    if not found:
        sys.exit(f'vulkaninfo-diff: no table of differences between <!-- vulkaninfo --> and <!-- end --> of {path}')
    return found


def differences(native, neep):
    sections = [{path.partition('/')[0] for path in side} for side in (native, neep)]
    for path in sorted(native.keys() | neep.keys()):
        inside = path.partition('/')[0] in sections[0] & sections[1]
        if native.get(path) != neep.get(path) and (inside or '/' not in path):
            yield path, native.get(path, 'absent'), neep.get(path, 'absent')


def is_explained(path, patterns):
    steps = path.split('/')
    for pattern in patterns:
        expected = pattern.split('/')
        if len(steps) == len(expected) and all(map(fnmatch.fnmatchcase, steps, expected)):
            return True
    return False


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--enter', default='', help='what runs a command where the drivers are')
    parser.add_argument('--wrapper', required=True, help='what the second run goes through')
    parser.add_argument('--explained', default='docs/conformance.md')
    parser.add_argument('--list', action='store_true', help='show the explained differences as well')
    return parser.parse_args()


def main():
    args = parse()
    patterns = explanations(args.explained)
    enter = args.enter.split()
    native, status, _ = shown(enter)
    neep, neep_status, errors = shown(enter + args.wrapper.split())
    ends_well = status == 0 and neep_status == 0
    print(f"{'ok' if ends_well else 'not ok'} 1 - vulkaninfo_ends_well (native {status}, through neep {neep_status})")
    if not ends_well:
        print('\n'.join('# ' + line for line in errors.splitlines()[-10:]))
    unexplained, explained = [], []
    for path, before, after in differences(native, neep):
        (explained if is_explained(path, patterns) else unexplained).append(f'{path}: {before or "there"} -> {after or "there"}')
    print(f"{'not ok' if unexplained else 'ok'} 2 - vulkaninfo_differences_are_explained"
          f' ({len(explained)} of {len(neep)} lines differ and are explained, {len(unexplained)} are not)')
    for line in unexplained + (explained if args.list else []):
        print('# ' + line)
    print('1..2')
    return 0 if ends_well and not unexplained else 1


if __name__ == '__main__':
    sys.exit(main())
