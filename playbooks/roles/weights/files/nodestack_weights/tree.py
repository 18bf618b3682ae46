"""A directory compared with its manifest, hashed in parallel near what the disk or the cores can."""

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from nodestack_weights.manifest import Entry, Manifest
from nodestack_weights.records import Stamp, stamp

_PIECE_BYTES = 1 << 20


class Finding(NamedTuple):
    """What is wrong with one file, by its path in the repository."""

    path: str
    problem: str


def sha256(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """Return the SHA-256 of a file, telling how many more bytes were read as it goes."""
    digest = hashlib.sha256()
    # One buffer for the whole file: the kernel zeroes a new one page by page before anything is read to it.
    piece = bytearray(_PIECE_BYTES)
    with path.open("rb", buffering=0) as file, memoryview(piece) as view:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := file.readinto(piece):
            digest.update(view[:count])
            on_bytes(count)
    return digest.hexdigest()


def check(
    directory: Path,
    entries: Iterable[Entry],
    *,
    workers: int,
    on_bytes: Callable[[int], None] = lambda count: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[dict[str, Stamp], list[Finding]]:
    """Compare files with their manifest, several at once; hashing releases the interpreter's lock.

    Args:
        directory: Where the files are.
        entries: What they must be.
        workers: How many are read at once.
        on_bytes: Gets the number of bytes read since it was last called, from any thread.
        cancelled: Once true, files not yet begun are reported as not looked at.

    Returns:
        The stamp of each good file, and what is wrong with each other one.
    """

    def one(entry: Entry) -> tuple[Entry, Stamp | None, str]:
        path = directory / entry.path
        before = stamp(path)
        if cancelled():
            return entry, before, "was not looked at"
        if before is None:
            return entry, None, "is missing"
        if before[0] != entry.size:
            return entry, before, f"has {before[0]} bytes instead of {entry.size}"
        try:
            found = sha256(path, on_bytes)
        except OSError as error:
            return entry, before, f"cannot be read ({error.strerror})"
        return entry, before, "" if found == entry.sha256 else f"has SHA-256 {found} instead of {entry.sha256}"

    good: dict[str, Stamp] = {}
    findings: list[Finding] = []
    with ThreadPoolExecutor(workers) as pool:
        for entry, seen, problem in pool.map(one, entries):
            if problem or seen is None:
                findings.append(Finding(entry.path, problem))
            else:
                good[entry.path] = seen
    return good, findings


def unlisted(directory: Path, expected: Manifest) -> list[str]:
    """Return the paths of files that the manifest does not have: an engine would load a stray shard."""
    listed = {entry.path for entry in expected.entries}
    found: list[str] = []
    for parent, _, names in os.walk(directory):
        found += [(Path(parent) / name).relative_to(directory).as_posix() for name in names]
    return sorted(path for path in found if path not in listed)


def hash_workers() -> int:
    """Return how many files to hash at once: one a core, few enough that a disk still reads in order."""
    return min(len(os.sched_getaffinity(0)), 16)
