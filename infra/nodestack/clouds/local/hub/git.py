"""Object ids as git and Git LFS compute them: what makes a commit id of a served repository a real one."""

import hashlib
from collections.abc import Mapping


def blob_id(content: bytes) -> str:
    """Return the id of a file as git stores it (SHA-1 over its header and content)."""
    return _object_id("blob", content)


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the pointer file that git stores in place of a large file (Git LFS specification, version 1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def tree_id(blob_ids: Mapping[str, str]) -> str:
    """Return the id of a flat directory of ordinary files, given each file's name and blob id."""
    entries = sorted((name.encode(), bytes.fromhex(blob)) for name, blob in blob_ids.items())
    return _object_id("tree", b"".join(b"100644 " + name + b"\x00" + blob for name, blob in entries))


def commit_id(tree: str, parents: tuple[str, ...], author: str, unix_time: int, message: str) -> str:
    """Return the id of a commit made by one author at one time in UTC.

    Args:
        tree: Id of the root directory.
        parents: Ids of the commits it follows.
        author: "Name <address>".
        unix_time: Seconds since the epoch.
        message: Commit message without the newline at its end.
    """
    stamp = f"{author} {unix_time} +0000"
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {stamp}", f"committer {stamp}"]
    return _object_id("commit", ("\n".join(lines) + f"\n\n{message}\n").encode())


def _object_id(kind: str, content: bytes) -> str:
    header = f"{kind} {len(content)}\x00".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
