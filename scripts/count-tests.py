#!/usr/bin/env python3
"""Counts test cases: reads Meson's testlog.json files and TAP logs, prints "PASSED FAILED" and what failed.

usage: count-tests.py FILE...

A TAP line "ok" or "not ok" is a case. A program that printed none is one case by its result. A program that failed
although all its cases passed (a crash, a leak, a time-out) is one failed case more. A skipped case counts as failed: what
cannot run here must not be in the list."""
import json
import re
import sys

CASE = re.compile(r"^\s*(not ok|ok)\b[ \d-]*(.*)$")


def count_tap(text):
    passed, failed = 0, []
    for line in text.splitlines():
        match = CASE.match(line)
        if not match:
            continue
        if match.group(1) == "ok" and "# SKIP" not in line.upper():
            passed += 1
        else:
            failed.append(match.group(2).strip() or line.strip())
    return passed, failed


def count_meson(path):
    passed, failed = 0, []
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            test = json.loads(line)
            ok, bad = count_tap(test.get("stdout", ""))
            good = test["result"] in ("OK", "EXPECTEDFAIL")
            if ok == 0 and not bad:
                ok = 1 if good else 0
            if not good and not bad:
                bad = [f"{test['result'].lower()} (the program itself)"]
            passed += ok
            failed += [f"{test['name']}: {name}" for name in bad]
    return passed, failed


def main():
    passed, failed = 0, []
    for path in sys.argv[1:]:
        if path.endswith(".json"):
            ok, bad = count_meson(path)
        else:
            with open(path, encoding="utf-8", errors="replace") as log:
                ok, bad = count_tap(log.read())
        passed += ok
        failed += bad
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    print(passed, len(failed))


main()
