"""What the kernel and /etc/fstab say of mounts and swap."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DEVICE_FIELD, _PLACE_FIELD, _OPTIONAL_FIELDS = 2, 4, 6
_FSTAB_FIELDS = 3


class Mount(NamedTuple):
    """A mount that is, or that /etc/fstab asks for; `device` is its "major:minor", "" in fstab."""

    device: str
    place: str
    kind: str
    source: str


def mounts(root: Path) -> list[Mount]:
    """Return what is mounted in this namespace."""
    found = []
    for line in (root / "proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ")
        kind, source = fields[fields.index("-", _OPTIONAL_FIELDS) + 1 :][:2]
        device = fields[_DEVICE_FIELD]
        if source.startswith("/"):
            # A file system over several disks has a number of its own: the disk is told by its path then.
            device = number(root / source.lstrip("/")) or device
        found.append(Mount(device, _plain(fields[_PLACE_FIELD]), kind, _plain(source)))
        if device != fields[_DEVICE_FIELD]:
            found.append(found[-1]._replace(device=fields[_DEVICE_FIELD]))
    return found


def fstab(root: Path) -> list[Mount]:
    """Return what /etc/fstab asks for."""
    return [Mount("", _plain(place), kind, _plain(source)) for source, place, kind in _rows(root / "etc/fstab")]


def swaps(root: Path) -> set[str]:
    """Return the "major:minor" of each device that is swapped to."""
    return {found for source, *_ in _rows(root / "proc/swaps") if (found := number(root / source.lstrip("/")))}


def number(path: Path) -> str:
    """Return the "major:minor" of a block device, "" for whatever else it may be."""
    try:
        seen = path.stat()
    except OSError:
        return ""
    return f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}" if path.is_block_device() else ""


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        text = path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= _FSTAB_FIELDS and not line.lstrip().startswith("#"):
            yield fields[0], fields[1], fields[2]


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
