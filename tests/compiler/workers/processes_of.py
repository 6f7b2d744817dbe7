"""Processes of this machine, as /proc shows them."""

import time
from pathlib import Path


def is_running(pid):
    try:
        return _fields(pid)[0] != "Z"
    except FileNotFoundError:
        return False


def parent_of(pid):
    return int(_fields(pid)[1])


def descendants(pid):
    """Process ids of children, their children, ..."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = parent_of(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def wait_until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def _fields(pid):
    """State, parent, ... of a process: what follows its name."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
