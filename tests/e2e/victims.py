"""The processes of an `up` in flight, by what they are; and killing them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

# What tells a process on the way from the engine to the node, as its command line shows it.
MARKS: dict[str, Callable[[list[str]], bool]] = {
    "engine": lambda argv: argv[0].endswith("/pulumi"),
    "language host": lambda argv: any(part.endswith("run_language_host.py") for part in argv),
    "program": lambda argv: any(part.endswith("pulumi-language-python-exec") for part in argv[:4]) and "-u" in argv,
    "plugin": lambda argv: any(part.endswith("infra/provider") for part in argv),
    "ansible": lambda argv: "nodestack.provisioning.runner" in argv or any("ansible-playbook" in part for part in argv),
}


def find(kind: str, root: Path) -> list[int]:
    """Return the processes of a kind that belong to the checkout at `root`."""
    return [pid for pid, argv, place in _all() if argv and MARKS[kind](argv) and _is_of(str(root), argv, place, pid)]


def kill(kinds: list[str], root: Path) -> list[int]:
    """Kill -9 the processes of these kinds, all found before the first dies; return their ids."""
    victims = [pid for kind in kinds for pid in find(kind, root)]
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return victims


def gone(root: Path, patience_s: float) -> list[str]:
    """Return which kinds of processes are still there after waiting for them to end."""
    deadline = time.monotonic() + patience_s
    while left := [kind for kind in MARKS if find(kind, root)]:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.1)
    return []


def _all() -> Iterator[tuple[int, list[str], str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            yield int(entry.name), argv, os.readlink(entry / "cwd")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def _is_of(root: str, argv: list[str], place: str, pid: int) -> bool:
    if place.startswith(root) or any(root in part for part in argv):
        return True
    # A language host and Ansible work elsewhere; their environment still tells whose they are.
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return root.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False
