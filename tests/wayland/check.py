#!/usr/bin/env python3
"""Real Wayland programs on real compositors without a screen: through neep, and alone, and the two are compared. Prints TAP."""
import argparse
import os
import re
import shlex
import sys
import tempfile

import case_clipboard
import case_crowd
import case_extras
import case_globals
import case_gpu
import case_input
import case_moving
import case_pictures
import case_sync
import case_text
import case_x11
from tap import Tap
from world import World

GROUPS = (case_globals, case_pictures, case_gpu, case_sync, case_moving, case_input, case_crowd, case_text, case_extras, case_clipboard, case_x11)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True, help='the build folder')
    parser.add_argument('--wrapper', default='', help='what clients run under; empty: nothing')
    parser.add_argument('--keep', required=True, help='a folder for logs and screenshots')
    parser.add_argument('case', nargs='*', help='regular expressions for the names of cases (default: all of them)')
    args = parser.parse_args()
    os.makedirs(args.keep, exist_ok=True)
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        world = World(os.path.abspath(args.build), shlex.split(args.wrapper), folder, os.path.abspath(args.keep))
        try:
            for group in GROUPS:
                for name, case, *words in group.cases(world):
                    if not args.case or any(re.search(pattern, name) for pattern in args.case):
                        tap.run(name, case, world, *words)
                        world.end_case()
        finally:
            world.end()
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
