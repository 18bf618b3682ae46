"""The SHA-256 of a file that grows, found behind whoever writes it: the line never waits for a hash.

Where cores are few the bytes come in first and are hashed right after; where they are not, both end together. What an
earlier run left is hashed while the rest comes in.
"""

import hashlib
import os
import threading
from collections.abc import Callable

_PIECE_BYTES = 1 << 20
_CHECK_S = 0.2
_LANES = threading.Semaphore(len(os.sched_getaffinity(0)))
"""As many files are hashed at a time as there are cores: more would only take turns, also at the interpreter's lock."""


class Trailing:
    """Hashes a file from its beginning on, in a thread that gives way to all others until the file is whole."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._is_whole = self._is_ended = False
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="hash", daemon=True)
        self._thread.start()

    def grew(self, size: int) -> None:
        """Take note that so many bytes are in the file."""
        with self._changed:
            self._size = size
            self._changed.notify()

    def digest(self, check: Callable[[], None]) -> str:
        """Wait until all of it is hashed, and return that; `check` is called now and then and may raise.

        Raises:
            OSError: The file cannot be read.
        """
        with self._changed:
            self._is_whole = True
            self._changed.notify()
        while self._thread.is_alive():
            check()
            self._thread.join(_CHECK_S)
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def end(self) -> None:
        """Look at the file no more."""
        with self._changed:
            self._is_ended = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._hash()
        except OSError as error:
            self._error = error

    def _hash(self) -> None:
        hashed, piece = 0, bytearray(_PIECE_BYTES)
        gives_way = _take_turns(os.SCHED_IDLE)
        with memoryview(piece) as view:
            while (there := self._wait_for_more_than(hashed)) > hashed:
                if gives_way and self._is_whole:
                    gives_way = not _take_turns(os.SCHED_OTHER)
                with _LANES:
                    # Read again from memory, where what was just written still is.
                    count = os.preadv(self._descriptor, [view[: min(there - hashed, _PIECE_BYTES)]], hashed)
                    if not count:
                        raise OSError(None, f"the file ends at byte {hashed} of {there} that were written to it")
                    self._digest.update(view[:count])
                hashed += count

    def _wait_for_more_than(self, hashed: int) -> int:
        """Return the size once a whole piece more is there, or the rest; `hashed` once nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or self._is_whole or self._size - hashed >= _PIECE_BYTES)
            return hashed if self._is_ended else self._size


def _take_turns(policy: int) -> bool:
    """Have this thread get the cores as a policy says; return whether that may be had."""
    try:
        os.sched_setscheduler(0, policy, os.sched_param(0))
    except OSError:
        return False
    return True
