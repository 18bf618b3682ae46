"""What a commit consists of: path, size and SHA-256 of each file, in one canonical form whose digest stands for all."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from nodestack_weights import WeightsError


class Entry(NamedTuple):
    """One file: its path from the repository's root, its size in bytes, its SHA-256."""

    path: str
    size: int
    sha256: str


class Manifest(NamedTuple):
    """All files of one commit, sorted by path."""

    repository: str
    commit: str
    entries: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(entry.size for entry in self.entries)

    def canonical(self) -> bytes:
        """Return the one form of this manifest: JSON with sorted keys and no blanks, as it lies on the volume."""
        files = [{"path": entry.path, "sha256": entry.sha256, "size": entry.size} for entry in self.entries]
        content = {"commit": self.commit, "files": files, "repository": self.repository}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    def digest(self) -> str:
        """Return the SHA-256 of the canonical form; `sha256sum` of the manifest's file gives the same."""
        return hashlib.sha256(self.canonical()).hexdigest()


def make(repository: str, commit: str, entries: Iterable[Entry]) -> Manifest:
    """Return the manifest of these files.

    Raises:
        WeightsError: A path would lead out of the directory it belongs to.
    """
    in_order = tuple(sorted(entries))
    for entry in in_order:
        refuse_unsafe(entry.path)
    return Manifest(repository, commit, in_order)


def refuse_unsafe(path: str) -> None:
    """Raise a WeightsError when a path does not stay below the directory it is joined to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\x00" in path:
        raise WeightsError(
            f"the hub names a file {path!r}, which leads out of the model's directory: it is not fetched"
        )


def read(path: Path) -> Manifest:
    """Return the manifest in this file.

    Raises:
        WeightsError: There is none, or it is not one.
    """
    try:
        content = json.loads(path.read_bytes())
        entries = [Entry(file["path"], file["size"], file["sha256"]) for file in content["files"]]
        return make(content["repository"], content["commit"], entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"the manifest {path} cannot be read ({error}): run `pulumi up` to make it again") from error


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file so that it has the old content or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
