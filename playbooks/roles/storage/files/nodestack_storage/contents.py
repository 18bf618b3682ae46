"""What is on a block device: our file system, nothing at all, or anything else."""

import os
from pathlib import Path
from typing import NamedTuple

from nodestack_storage import Refused, State, command

FILE_SYSTEM = "ext4"
_EDGE_BYTES = 1 << 20
_NOTHING_FOUND, _AMBIGUOUS = 2, 8
_LITTLE_TOLD = ("DEVNAME=", "USAGE=", "BLOCK_SIZE=", "VERSION=")
_MANY_BYTES = 256 << 30
_BYTES_PER_INODE = 256 << 10


class Contents(NamedTuple):
    """What a device holds, as the end of a sentence too."""

    state: State
    text: str
    uuid: str


def size(path: Path) -> int:
    """Return the size of a block device in bytes."""
    device = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(device, 0, os.SEEK_END)
    finally:
        os.close(device)


def look(path: Path, label: str, size_bytes: int) -> Contents:
    """Return what is on a device: blank is only what no prober knows and what begins and ends with zeros."""
    probed = command("blkid", "--probe", "--output", "export", str(path))
    found = probed.stdout.splitlines()
    if probed.returncode == 0 and {f"TYPE={FILE_SYSTEM}", f"LABEL={label}"} <= set(found):
        uuid = next((line.partition("=")[2] for line in found if line.startswith("UUID=")), "")
        return Contents("ours", f"is labelled {label}", uuid)
    if probed.returncode == _AMBIGUOUS:
        held = "traces of several file systems"
    elif probed.returncode not in (0, _NOTHING_FOUND):
        held = f"what blkid cannot tell ({_line(probed.stderr)})"
    elif probed.returncode == 0:
        held = " ".join(line for line in found if not line.startswith(_LITTLE_TOLD)) or "something without a name"
    else:
        held = _traces(path, size_bytes)
    if held:
        return Contents("unfit", f"is neither empty nor labelled {label}; it holds {held}", "")
    return Contents("blank", "is empty", "")


def make(path: Path, label: str, uuid: str, size_bytes: int) -> None:
    """Make the file system that is ours, for few large files that are read from one end to the other.

    Raises:
        Refused: It could not be made.
    """
    # No blocks kept for root: they would be five per cent of hundreds of gigabytes. A large volume gets an inode for
    # each 256 KiB: the usual one for 16 KiB takes 1.6 % of it, for files that shards of gigabytes are not.
    sparse = ("-i", str(_BYTES_PER_INODE)) if size_bytes >= _MANY_BYTES else ()
    ended = command("mkfs.ext4", "-q", "-m", "0", *sparse, "-L", label, "-U", uuid, str(path))
    if ended.returncode != 0:
        raise Refused(f"{path} could not be formatted: {_line(ended.stderr)}")


def _traces(path: Path, size_bytes: int) -> str:
    signatures = command("wipefs", "--no-act", "--parsable", str(path))
    if signatures.returncode != 0:
        return f"what wipefs cannot tell ({_line(signatures.stderr)})"
    if signatures.stdout.strip():
        return f"signatures: {_line(signatures.stdout)}"
    device = os.open(path, os.O_RDONLY)
    try:
        for edge, start in (("first", 0), ("last", max(0, size_bytes - _EDGE_BYTES))):
            if any(os.pread(device, min(_EDGE_BYTES, size_bytes), start)):
                return f"data without a signature in its {edge} MiB"
    finally:
        os.close(device)
    return ""


def _line(text: str) -> str:
    return " ".join(text.split())[:300] or "no word"
