"""A file that only grows, hashed as it is written, and on its way to the disk while more comes in."""

import ctypes
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_PIECE_BYTES = 1 << 20
_FLUSH_BYTES = 32 << 20
_START_WRITING = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""


class Growing:
    """The beginning of a file; use it in a `with` statement.

    Attributes:
        size: Bytes that are in it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        self._flushed = 0
        self._digest = hashlib.sha256()
        self.size = self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> "Growing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def hash_beginning(self, check: Callable[[], None]) -> None:
        """Hash what another run left here; `check` is called now and then and may raise."""
        self._digest, self._flushed = hashlib.sha256(), self.size
        self._file.seek(0)
        piece, left = bytearray(_PIECE_BYTES), self.size
        with memoryview(piece) as view:
            while left and (count := self._file.readinto(view[: min(left, _PIECE_BYTES)])):
                self._digest.update(view[:count])
                left -= count
                check()

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        view = memoryview(piece)
        while view:
            count = self._file.write(view)
            # What is hashed is what was written: a full disk may take a part of a piece.
            self._digest.update(view[:count])
            self.size += count
            view = view[count:]
        if self.size - self._flushed >= _FLUSH_BYTES:
            # Otherwise a host with a terabyte of memory collects a fifth of it before the disk has anything to do.
            _start_writing(self._file.fileno(), self._flushed, self.size - self._flushed)
            self._flushed = self.size

    def clear(self) -> None:
        """Begin anew."""
        self._file.truncate(0)
        self._digest, self._flushed, self.size = hashlib.sha256(), 0, 0

    def finish(self) -> str:
        """Have all of it on the disk and return its SHA-256."""
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()


def _start_writing(descriptor: int, offset: int, count: int) -> None:
    """Begin to write a range to the disk without waiting for it; only a hint, so nothing can go wrong."""
    if _LIBC is not None:
        _LIBC.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(count), _START_WRITING)


def _libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "sync_file_range") else None


_LIBC = _libc()
