"""A file that only grows: on its way to the disk while more comes in, and hashed behind that."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from nodestack_weights.trailing import Trailing

_FLUSH_BYTES = 256 << 20
"""Of one file before it is begun to be written to the disk. By 32 MB, writers wait for the disk's queue: 5.4 s instead
of 4.2 s for 4 GB in 8 files on 2 cores, both in one run on a node as benchmarks/fetch.py has it, 2026-11-27."""
_START_WRITING = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""


class Growing:
    """The beginning of a file; use it in a `with` statement.

    Attributes:
        size: Bytes that are in it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        self.size = self._flushed = self._file.seek(0, os.SEEK_END)
        self._hash = Trailing(self._file.fileno(), self.size)

    def __enter__(self) -> "Growing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hash.end()
        self._file.close()

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        view = memoryview(piece)
        while view:
            # A full disk may take a part of a piece.
            count = self._file.write(view)
            self.size += count
            view = view[count:]
        self._hash.grew(self.size)
        if self.size - self._flushed >= _FLUSH_BYTES:
            # Otherwise a host with a terabyte of memory collects a fifth of it before the disk has anything to do.
            _start_writing(self._file.fileno(), self._flushed, self.size - self._flushed)
            self._flushed = self.size

    def clear(self) -> None:
        """Begin anew."""
        self._hash.end()
        self._file.truncate(0)
        self.size = self._flushed = 0
        self._hash = Trailing(self._file.fileno(), 0)

    def settle(self) -> None:
        """Have all of it on the disk."""
        os.fsync(self._file.fileno())

    def sha256(self, check: Callable[[], None]) -> str:
        """Return the hash of all of it, once that is known; `check` is called now and then and may raise."""
        return self._hash.digest(check)


def _start_writing(descriptor: int, offset: int, count: int) -> None:
    """Begin to write a range to the disk without waiting for it; only a hint, so nothing can go wrong."""
    if _LIBC is not None:
        _LIBC.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(count), _START_WRITING)


def _libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "sync_file_range") else None


_LIBC = _libc()
