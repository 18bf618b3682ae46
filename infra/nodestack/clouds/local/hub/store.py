"""The repositories a hub serves, read from directories: `<root>/<organisation>/<name>/<commit>/…` and `refs.json`."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

from nodestack.clouds.base import Frozen
from nodestack.clouds.local.hub import git

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LARGE_SUFFIX = ".safetensors"


class HubFile(Frozen):
    """One file of a commit.

    Attributes:
        path: Relative to the repository's root.
        size: Bytes.
        blob_id: Git's id of what git stores: the file, or the pointer to it.
        sha256: Of the content, for files that Git LFS stores; None for others.
        pointer_size: Bytes of the pointer; 0 without one.
        location: Where its bytes are on this machine.
    """

    path: str
    size: int
    blob_id: str
    sha256: str | None
    pointer_size: int
    location: Path

    @property
    def etag(self) -> str:
        """What names the content: the SHA-256 of a large file, git's id of another."""
        return self.sha256 or self.blob_id


class Repository:
    """One repository on disk."""

    def __init__(self, repository_id: str, directory: Path) -> None:
        self.repository_id = repository_id
        self._directory = directory

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch or commit id names, or None when there is no such thing here."""
        refs: dict[str, str] = json.loads((self._directory / "refs.json").read_text())
        commit = refs.get(revision, revision)
        if _COMMIT.fullmatch(commit) and (self._directory / commit).is_dir():
            return commit
        return None

    def files(self, commit: str) -> tuple[HubFile, ...]:
        """Return the files of a commit that `resolve` gave, by path."""
        return _files(self._directory / commit)


def find(root: Path, repository_id: str) -> Repository | None:
    """Return the repository of this id ("organisation/name") below `root`, or None."""
    parts = repository_id.split("/")
    if len(parts) != len(("organisation", "name")) or not all(_NAME.fullmatch(part) for part in parts):
        return None
    directory = root.joinpath(*parts)
    return Repository(repository_id, directory) if (directory / "refs.json").is_file() else None


@cache
def _files(directory: Path) -> tuple[HubFile, ...]:
    """Return the files below a commit's directory; kept, because a commit never changes."""
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return tuple(_describe(path, path.relative_to(directory).as_posix()) for path in found)


def _describe(location: Path, path: str) -> HubFile:
    content = location.read_bytes()
    if not path.endswith(_LARGE_SUFFIX):
        blob_id = git.blob_id(content)
        return HubFile(path=path, size=len(content), blob_id=blob_id, sha256=None, pointer_size=0, location=location)
    sha256 = hashlib.sha256(content).hexdigest()
    pointer = git.lfs_pointer(sha256, len(content))
    return HubFile(
        path=path,
        size=len(content),
        blob_id=git.blob_id(pointer),
        sha256=sha256,
        pointer_size=len(pointer),
        location=location,
    )
