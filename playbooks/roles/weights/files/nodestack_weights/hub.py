"""A commit on a hub: what names it, and what the hub lists for it."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from nodestack_weights import WeightsError

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Listed(NamedTuple):
    """One file as the hub lists it.

    Attributes:
        path: From the repository's root.
        size: Bytes.
        blob_id: Git's id of the file; of a large file's pointer.
        sha256: Of a large file's content; None for a small one, whose content git's id already stands for.
    """

    path: str
    size: int
    blob_id: str
    sha256: str | None

    def is_content_of(self, path: Path) -> bool:
        """Return whether this small file's content is in `path`."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        content = path.read_bytes()
        header = f"blob {len(content)}\x00".encode()
        return hashlib.sha1(header + content, usedforsecurity=False).hexdigest() == self.blob_id


class Source(NamedTuple):
    """A commit on a hub.

    Attributes:
        endpoint: The hub, e.g. https://huggingface.co.
        repository: "organisation/name".
        commit: 40 hex digits.
        token: What the hub may want to see; None to go without.
    """

    endpoint: str
    repository: str
    commit: str
    token: str | None

    def url(self, path: str) -> str:
        """Return where a file of the commit is asked for."""
        return f"{self.endpoint}/{self.repository}/resolve/{self.commit}/{quote(path)}"


def refuse_movable(commit: str) -> None:
    """Raise a WeightsError when `commit` is not a full commit id."""
    if not _COMMIT.fullmatch(commit):
        raise WeightsError(
            f"the model's commit is {commit!r}, 40 hex digits are needed: "
            "branches, tags and short ids are refused because what they name can change"
        )
