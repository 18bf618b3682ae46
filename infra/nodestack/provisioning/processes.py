"""Finding and ending the processes of one run on this machine, whatever session or group they moved to."""

import os
import signal
import time
from pathlib import Path

MARK = "NODESTACK_RUN_DIRECTORY"
"""Environment variable that every process of a run inherits; its value is the run's private directory."""

_POLL_S = 0.05


def of_run(directory: Path) -> list[int]:
    """Return the pids of this user's processes that belong to the run in `directory`, this one excepted.

    A multiplexing ssh overwrites its environment with its title, which names the control socket in the directory.
    """
    mark = f"{MARK}={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            title = (entry / "cmdline").read_bytes()
            ours = mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours or (title.startswith(b"ssh: ") and f"{directory}/".encode() in title):
            found.append(int(entry.name))
    return found


def end(directory: Path, grace_s: float) -> None:
    """End all processes of the run in `directory`: SIGTERM, and SIGKILL for what is left after `grace_s` seconds."""
    begun = time.monotonic()
    sent = signal.SIGTERM
    told: set[int] = set()
    while left := of_run(directory):
        if time.monotonic() - begun > grace_s and sent is signal.SIGTERM:
            sent, told = signal.SIGKILL, set()
        for pid in set(left) - told:
            told.add(pid)
            _send(pid, sent)
        if time.monotonic() - begun > 2 * grace_s + 1:
            return
        time.sleep(_POLL_S)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
