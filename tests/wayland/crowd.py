#!/usr/bin/env python3
"""Runs beside its clients, under what they run under: starts what it is told on its standard input, one JSON list of NAME and
words a line, and says what becomes of it: "started NAME PID", "NAME: LINE" for each line of its output, "ended NAME STATUS"."""
import json
import subprocess
import sys
import threading

lock = threading.Lock()


def say(text):
    with lock:
        print(text, flush=True)


def follow(name, process):
    for line in process.stdout:
        say(f'{name}: {line.rstrip()}')
    say(f'ended {name} {process.wait()}')


def main():
    say('ready')
    for line in sys.stdin:
        name, *words = json.loads(line)
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        say(f'started {name} {process.pid}')
        threading.Thread(target=follow, args=(name, process), daemon=True).start()


main()
