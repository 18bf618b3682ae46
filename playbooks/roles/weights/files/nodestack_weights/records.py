"""What was verified on this node: the current commit, and the former one, to which the way back is short."""

import json
from pathlib import Path
from typing import NamedTuple

from nodestack_weights import WeightsError, layout, manifest
from nodestack_weights.layout import Layout
from nodestack_weights.manifest import Manifest

Stamp = tuple[int, int]
"""A file's size in bytes and its time of change in nanoseconds: what shows cheaply that it was touched."""


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a regular file, or None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if path.is_file() else None


class Record(NamedTuple):
    """What was verified on this node: kept on its own disk, so that a new node verifies everything anew.

    Attributes:
        directory: The commit's directory.
        manifest_path: Its manifest.
        repository: "organisation/name".
        commit: 40 hex digits.
        manifest_sha256: The digest it was verified against.
        files: Stamp of each good file, when it was hashed; a file that was found bad has none.
    """

    directory: str
    manifest_path: str
    repository: str
    commit: str
    manifest_sha256: str
    files: dict[str, Stamp | None]

    def write(self, path: Path) -> None:
        """Replace the record in this file."""
        manifest.replace_file(path, (json.dumps(self._asdict(), indent=1) + "\n").encode())


def read(path: Path) -> Record | None:
    """Return the record in this file, or None where nothing was verified yet."""
    try:
        content = json.loads(path.read_bytes())
        files = {name: (stamp[0], stamp[1]) if stamp else None for name, stamp in content.pop("files").items()}
        return Record(files=files, **content)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def kept_manifest(places: Layout) -> Manifest | None:
    """Return the manifest of the commit that is on the volume, None where there is none."""
    try:
        kept = manifest.read(places.manifest)
    except WeightsError:
        return None
    return kept if (kept.repository, kept.commit) == (places.repository, places.commit) else None


class Records(NamedTuple):
    """The records of a node.

    Attributes:
        directory: Where they are kept.
    """

    directory: Path

    @property
    def current(self) -> Path:
        """Where what the service serves is recorded."""
        return self.directory / layout.RECORD_NAME

    @property
    def former(self) -> Path:
        """Where what was current before is recorded."""
        return self.directory / layout.FORMER_RECORD_NAME

    def of(self, places: Layout) -> Record | None:
        """Return what this node verified of a commit, None where it did not."""
        found = filter(None, map(read, (self.current, self.former)))
        return next((record for record in found if record.directory == str(places.final)), None)

    def untouched(self, places: Layout, found: Manifest) -> dict[str, Stamp]:
        """Return the stamps of files that this node verified before and that nothing touched since."""
        known, previous = (str(places.final), found.digest()), self.of(places)
        if previous is None or (previous.directory, previous.manifest_sha256) != known:
            return {}
        seen = {entry.path: stamp(places.final / entry.path) for entry in found.entries}
        return {path: now for path, now in seen.items() if now is not None and previous.files.get(path) == now}

    def keep(self, record: Record) -> bool:
        """Have this be the record of the current commit; return whether it is news."""
        before = read(self.current)
        if record == before:
            return False
        if before is not None and before.directory != record.directory:
            before.write(self.former)
        record.write(self.current)
        return True
