"""The block devices of a node: which there are, who uses them, and whether they are ours, blank or somebody else's."""

import dataclasses
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from nodestack_storage import Candidate, contents, tables

# What no cloud attaches a volume as; disks under a mapper or an array are seen, and refused, as themselves.
_NEVER = re.compile(r"(loop|ram|zram|sr|fd|dm-|md|nbd|mtdblock)\d+$")
_NAMES = ("serial", "device/serial", "wwid", "device/wwid", "device/vpd_pg80", "device/vpd_pg83")
_READABLE = re.compile(rb"[\x21-\x7e]{6,}")


class Disks:
    """The disks below a root directory, "/" but in tests.

    Args:
        root: Where /dev, /sys, /proc and /etc are.
        label: Label of a file system that is ours.
        mount_point: Where ours may be mounted.
    """

    def __init__(self, root: Path, label: str, mount_point: str) -> None:
        self._root = root
        self._label = label
        self._mount_point = mount_point
        self._mounts = tables.mounts(root)
        self._swaps = tables.swaps(root)
        self._wanted = [mount for mount in tables.fstab(root) if mount.place != mount_point]

    def candidates(self) -> list[Candidate]:
        """Return each whole disk, judged; a removable one is nobody's volume unless it is named."""
        seen: dict[str, str] = {}
        for entry in sorted(os.scandir(self._root / "dev"), key=lambda entry: entry.name):
            if entry.is_symlink() or _NEVER.match(entry.name):
                continue
            number = tables.number(Path(entry.path))
            if number and not (self._described(number) / "partition").exists():
                seen.setdefault(number, f"/dev/{entry.name}")
        return [self._searched(number, source) for number, source in seen.items()]

    def _searched(self, number: str, source: str) -> Candidate:
        judged = self.judge(source)
        if judged.state == "unfit" or self._text(number, "removable") != "1":
            return judged
        # Whoever wants one names it.
        return dataclasses.replace(judged, state="unfit", why="is a removable medium")

    def judge(self, source: str) -> Candidate:
        """Return what a block device is; nothing on it is changed."""
        path = self._root / source.lstrip("/")
        number = tables.number(path)
        names = tuple(self._names(number))
        try:
            size_bytes = contents.size(path)
            if why := next(self._reasons(path, number, size_bytes), ""):
                return Candidate("block", source, "unfit", why, size_bytes, names)
            held = contents.look(path, self._label, size_bytes)
        except OSError as error:
            return Candidate("block", source, "unfit", f"cannot be read ({error.strerror})", 0, names)
        return Candidate("block", source, held.state, held.text, size_bytes, names, held.uuid)

    def _reasons(self, path: Path, number: str, size_bytes: int) -> Iterator[str]:
        """Yield what keeps us from a device whatever is on it; nothing where it is free, or mounted where ours is."""
        family, holders = self._family(number)
        places = {mount.place for mount in self._mounts if mount.device in family}
        if elsewhere := sorted(places - {self._mount_point}):
            yield f"is in use at {', '.join(elsewhere)}"
        if family & self._swaps:
            yield "is in use as swap"
        if holders:
            yield f"is in use by {', '.join(holders)}"
        if wanted := sorted(mount.place for mount in self._wanted if self._asks_for(mount.source) in family):
            yield f"is kept for {', '.join(wanted)} by /etc/fstab"
        if size_bytes == 0:
            yield "holds no medium"
        if self._text(number, "ro") == "1":
            yield "is read-only"
        if not places and _is_claimed(path):
            yield "is in use by another namespace or by the kernel"

    def _family(self, number: str) -> tuple[set[str], list[str]]:
        """Return the numbers of a disk, its partitions and all that is built on them, and the names of the latter."""
        family, holders, ahead = {number}, [], [self._described(number)]
        while ahead:
            place = ahead.pop()
            built = list(_entries(place / "holders"))
            holders += [entry.name for entry in built]
            parts = [entry for entry in _entries(place) if (entry / "partition").exists()]
            for entry in [*built, *parts]:
                found = _read(entry / "dev")
                if found not in family:
                    family.add(found)
                    ahead.append(entry)
        return family, sorted(set(holders))

    def _asks_for(self, source: str) -> str:
        return tables.number(self._root / source.lstrip("/")) if source.startswith("/") else ""

    def _names(self, number: str) -> Iterator[str]:
        for name in _NAMES:
            try:
                held = (self._described(number) / name).read_bytes()
            except OSError:
                continue
            yield from (word.decode() for word in _READABLE.findall(held))

    def _text(self, number: str, name: str) -> str:
        return _read(self._described(number) / name)

    def _described(self, number: str) -> Path:
        return self._root / "sys/dev/block" / number


def _is_claimed(path: Path) -> bool:
    """Return whether the kernel lets nobody else have a device: the one answer that sees every namespace."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def _entries(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*") if path.is_dir())


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
