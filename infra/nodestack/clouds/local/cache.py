"""Things that are costly to make and safe to share: built once, kept outside the checkout by what they are made of."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Return the directory of all caches: `$XDG_CACHE_HOME/nodestack`, by default `~/.cache/nodestack`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "nodestack"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, made where it is missing; the kernel drops it with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def cached(kind: str, key_material: bytes, build: Callable[[Path], None]) -> Path:
    """Return the directory built from this key material, building it where it is missing.

    The directory appears complete or not at all: it is built beside its place and renamed. Others that want
    the same wait for the one that builds; what a killed builder left is cleared by the next one.

    Args:
        kind: What it is, e.g. "image"; names the directory below the cache.
        key_material: Everything the result depends on; its SHA-256 is the entry's name.
        build: Fills the empty directory it is given; whatever it raises is passed on and nothing is kept.

    >>> cached("greeting", b"v1", lambda d: (d / "hello").write_text("hi") and None)  # doctest: +SKIP
    PosixPath('/root/.cache/nodestack/greeting/3bfc...')
    """
    key = hashlib.sha256(key_material).hexdigest()
    entry = cache_root() / kind / key
    if entry.is_dir():
        return entry
    with locked(entry.with_name(f"{key}.lock")):
        if entry.is_dir():
            return entry
        unfinished = entry.with_name(f"{key}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir()
        try:
            build(unfinished)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        unfinished.rename(entry)
    return entry
