"""What Linux says about processes."""
import os
import time


def table():
    """{pid: (parent, name, state)} of all that can be seen."""
    found = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat') as file:
                    name, rest = file.read().split('(', 1)[1].rsplit(')', 1)
            except OSError:
                continue
            state, parent = rest.split()[:2]
            found[int(entry)] = (int(parent), name, state)
    return found


def family(root):
    """{pid: name} of a process and of all that descend from it."""
    everything = table()
    members = {root}
    while True:
        more = {pid for pid, (parent, _, _) in everything.items() if parent in members} - members
        if not more:
            return {pid: everything[pid][1] for pid in members if pid in everything}
        members |= more


def exists(pid):
    """Zombies do not."""
    found = table().get(pid)
    return found is not None and found[2] != 'Z'


def marked(name, value):
    """{pid: name} of those that have name=value in their environment."""
    found = {}
    for pid, (_, program, state) in table().items():
        try:
            with open(f'/proc/{pid}/environ', 'rb') as file:
                if f'{name}={value}'.encode() in file.read().split(b'\0') and state != 'Z':
                    found[pid] = program
        except OSError:
            continue
    return found


def fd_count(pid):
    """-1 where it may not be known."""
    try:
        return len(os.listdir(f'/proc/{pid}/fd'))
    except OSError:
        return -1


def ticks(pid):
    """Clock ticks of processor time that all threads of a process have used."""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def await_idle(pids, window, patience):
    """Until a window passes in which none of them uses processor time; returns whether one came. Who is never idle has none;
    who is may have been at work, or charged for somebody else, in the first ones."""
    def is_idle():
        before = {pid: ticks(pid) for pid in pids}
        time.sleep(window)
        return all(ticks(pid) == count for pid, count in before.items())
    return await_true(is_idle, patience, 0) is not None


def await_true(what, patience, pause=0.02):
    """Asks again and again; returns the seconds it took, or None."""
    start = time.monotonic()
    while True:
        if what():
            return time.monotonic() - start
        if time.monotonic() - start > patience:
            return None
        time.sleep(pause)
