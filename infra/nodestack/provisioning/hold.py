"""Runs on the node, standard library only: holds the node's lock while a play runs, and ends what a play left over.

Fed to the node's python3 over SSH by lock.py. It ends with its standard input, so with the controller, however that
ended; then it stops the tasks of that play. Tasks are told by NODESTACK_RUN in their environment, which the play sets:
services started through systemd do not inherit it. Prints one JSON object a line.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

RUN_DIRECTORY = "/run/nodestack"
APPLIED = "/var/lib/nodestack/applied.json"
MARK = b"NODESTACK_RUN="
# A package manager that is killed half-way leaves a node on which no package can be installed: it is waited for.
PACKAGE_TOOLS = {"apt", "apt-get", "dpkg", "dpkg-deb"}
PACKAGE_PATIENCE_S = 120.0
TERM_GRACE_S = 3.0
SILENCE_LIMIT_S = 60.0
POLL_S = 0.25


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def read_json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def processes() -> dict[int, tuple[int, str, str | None]]:
    """Return {pid: (parent, name, run id or None)} of everything alive on this machine, containers on it excepted."""
    found = {}
    here = os.readlink("/proc/self/ns/pid")
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.readlink("/proc/" + entry + "/ns/pid") != here:
                continue
            with open("/proc/" + entry + "/stat", encoding="utf-8", errors="replace") as file:
                head, _, tail = file.read().rpartition(")")
            with open("/proc/" + entry + "/environ", "rb") as file:
                marks = [item[len(MARK) :] for item in file.read().split(b"\0") if item.startswith(MARK)]
        except OSError:
            continue
        fields = tail.split()
        if fields[0] != "Z":
            run = marks[0].decode(errors="replace") if marks else None
            found[int(entry)] = (int(fields[1]), head.split("(", 1)[1], run)
    return found


def leftovers(of_run: Callable[[str], bool]) -> dict[int, str]:
    """Return {pid: name} of marked processes for which of_run(run id) holds, with all that descends from them."""
    alive = processes()
    chosen = {pid for pid, (_, _, run) in alive.items() if run is not None and of_run(run)}
    size = -1
    while size != len(chosen):
        size = len(chosen)
        chosen |= {pid for pid, (parent, _, _) in alive.items() if parent in chosen}
    return {pid: alive[pid][1] for pid in chosen if pid != os.getpid()}


def stop_leftovers(of_run: Callable[[str], bool]) -> list[str]:
    """End the tasks of_run() chooses, packages last; return the names of what was ended."""
    begun = time.monotonic()
    names: set[str] = set()
    while True:
        left = leftovers(of_run)
        names |= set(left.values())
        if not PACKAGE_TOOLS & set(left.values()) or time.monotonic() - begun > PACKAGE_PATIENCE_S:
            break
        say(packages=sorted(PACKAGE_TOOLS & set(left.values())))
        time.sleep(1)
    begun = time.monotonic()
    while left:
        late = time.monotonic() - begun > TERM_GRACE_S
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.1)
        left = leftovers(of_run)
    return sorted(names)


def take(lock: TextIO, wait_s: float, listening: threading.Event) -> bool:
    """Wait for the lock; False when it is still held by another after wait_s seconds or the controller is gone."""
    deadline = time.monotonic() + wait_s
    told = 0.0
    while listening.is_set():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
        if time.monotonic() > deadline:
            say(busy=holder)
            return False
        if time.monotonic() - told > 1:
            told = time.monotonic()
            say(waiting=holder)
        time.sleep(POLL_S)
    return False


def listen(listening: threading.Event, heard: list[float]) -> None:
    """Note each sign of life of the controller, until its end."""
    while sys.stdin.buffer.read(1):
        heard[0] = time.monotonic()
    listening.clear()


def follow_progress(listening: threading.Event, heard: list[float]) -> None:
    """Pass on what a long task writes about itself, for as long as the controller lives."""
    path = os.path.join(RUN_DIRECTORY, "progress.json")
    seen = 0
    while listening.is_set() and time.monotonic() - heard[0] < SILENCE_LIMIT_S:
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            changed = 0
        if changed != seen:
            seen = changed
            progress = read_json(path)
            if progress is not None:
                say(progress=progress)
        time.sleep(POLL_S)


def main(run: str, holder: str, wait_s: float) -> None:
    listening = threading.Event()
    listening.set()
    heard = [time.monotonic()]
    threading.Thread(target=listen, args=(listening, heard), daemon=True).start()
    os.makedirs(RUN_DIRECTORY, mode=0o755, exist_ok=True)
    with open(os.path.join(RUN_DIRECTORY, "lock"), "a+", encoding="utf-8") as lock:
        if not take(lock, wait_s, listening):
            return
        lock.truncate(0)
        lock.write(holder + "\n")
        lock.flush()
        stopped = stop_leftovers(lambda other: other != run)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(RUN_DIRECTORY, "progress.json"))
        say(held=True, applied=read_json(APPLIED), stopped=stopped)
        try:
            follow_progress(listening, heard)
        except BrokenPipeError:
            pass
        finally:
            # Nobody listens any more: what is said from here on must not end it before its work is done.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stop_leftovers(lambda other: other == run)
            lock.truncate(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
