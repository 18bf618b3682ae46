"""One run at a time, that ends with whoever started it, and tells how far it is."""

import fcntl
import json
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nodestack_weights import WeightsError, manifest

PROGRAM = "nodestack_weights.fetch"
_LEFTOVER_GRACE_S = 10.0
_KILL_GRACE_S = 5.0
_EXIT_GRACE_S = 8.0
_EXIT_STOPPED = 3


@contextmanager
def alone(lock_path: Path) -> Iterator[None]:
    """Hold the lock of a weights directory; a leftover of an earlier run that holds it is ended first.

    Raises:
        WeightsError: Something else holds it.
    """
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(descriptor):
            _end_leftover(descriptor, lock_path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, timeout_s: float = 0.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        else:
            return True


def _end_leftover(descriptor: int, lock_path: Path) -> None:
    """End the earlier run: it serves nobody any more, and what it fetched is continued from."""
    holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    for number, grace_s in ((signal.SIGTERM, _LEFTOVER_GRACE_S), (signal.SIGKILL, _KILL_GRACE_S)):
        if _is_fetch(holder):
            os.kill(int(holder), number)
        if _try_lock(descriptor, grace_s):
            return
    raise WeightsError(f"{lock_path} is held by process {holder or 'unknown'}: see what it does, end it, and run again")


def _is_fetch(pid: str) -> bool:
    try:
        return pid.isdigit() and PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\x00")
    except OSError:
        return False


class Stop:
    """Becomes true on SIGTERM, SIGINT, or when whoever started this process is gone."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def install(self) -> None:
        """Begin to listen for signals and to watch the processes this one was started by."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.request())
        # Looked up once, before anything can have gone: what is missing later is gone.
        threading.Thread(target=self._watch, args=(_starters(),), daemon=True).start()

    def request(self) -> None:
        """Ask for the end; a process that does not manage it by itself is ended."""
        if not self._event.is_set():
            self._event.set()
            timer = threading.Timer(_EXIT_GRACE_S, os._exit, (_EXIT_STOPPED,))
            timer.daemon = True
            timer.start()

    def _watch(self, starters: list[tuple[int, int]]) -> None:
        outermost, session = starters[-1]
        while not self():
            orphaned = any(_parent(child) != parent for child, parent in starters)
            if orphaned or (_name(session).startswith("sshd") and _unheard(outermost)):
                self.request()
            time.sleep(0.5)


def _starters() -> list[tuple[int, int]]:
    """Return the pairs of child and parent up to the SSH session that this process belongs to, or its own parent.

    When a controller is killed, the module and the shells between its SSH session and this process stay behind: as
    orphans if the connection ended, and under a session that does not listen any more if the connection is shared
    (ControlPersist). So the whole line is watched, and the pipe at its end.
    """
    line: list[tuple[int, int]] = []
    child = os.getpid()
    while (parent := _parent(child)) > 1:
        line.append((child, parent))
        if _name(parent).startswith("sshd"):
            return line
        child = parent
    return [(os.getpid(), os.getppid())]


def _parent(pid: int) -> int:
    """Return the parent of a process, or 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _unheard(pid: int) -> bool:
    """Return whether a process writes to a pipe that nobody reads any more."""
    output = f"/proc/{pid}/fd/1"
    try:
        if not stat.S_ISFIFO(os.stat(output).st_mode):
            return False
        descriptor = os.open(output, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        poll = select.poll()
        poll.register(descriptor, 0)
        return bool(poll.poll(0))
    finally:
        os.close(descriptor)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class Progress:
    """Counts bytes, and keeps the node's progress file up to date while it is open."""

    def __init__(self, path: Path, interval_s: float = 1.0) -> None:
        self._path = path
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._state: dict[str, str | int] = {"role": "weights", "text": "asking the hub"}
        self._thread = threading.Thread(target=self._keep_writing, daemon=True)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Write the file now and then, until the end; afterwards it is gone."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()
            self._path.unlink(missing_ok=True)

    def begin(self, text: str, total_bytes: int, done_bytes: int = 0) -> Callable[[int], None]:
        """Name what is done now and how much there is of it; return what takes each further number of bytes."""
        with self._lock:
            self._state = {"role": "weights", "text": text, "done_bytes": done_bytes, "total_bytes": total_bytes}
        return self._add

    def _add(self, count: int) -> None:
        with self._lock:
            self._state["done_bytes"] = int(self._state.get("done_bytes", 0)) + count

    def _keep_writing(self) -> None:
        while True:
            with self._lock:
                content = json.dumps(self._state).encode()
            manifest.replace_file(self._path, content)
            if self._ended.wait(self._interval_s):
                return
