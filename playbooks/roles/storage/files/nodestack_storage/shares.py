"""The shares a node may be given its volume as: virtiofs tags and NFS exports."""

import contextlib
import os
import re
import tempfile
from pathlib import Path

from nodestack_storage import Candidate, Kind, Refused, State, command, tables

MARK = ".nodestack-volume"
"""File that marks a share as ours; its content is the label."""

EXPORT = re.compile(r"[^/\s]+:/\S*$")
_KINDS: dict[str, Kind] = {"virtiofs": "virtiofs", "nfs": "nfs", "nfs4": "nfs"}
_LOOK_OPTIONS: dict[Kind, str] = {
    "virtiofs": "ro,nodev,nosuid,noexec",
    # A server that is away must not hang the node.
    "nfs": "ro,nodev,nosuid,noexec,soft,timeo=50,retrans=2,retry=0",
}
# Where a cloud's image mounts what it was given; anywhere else the system itself may live on the share.
_FREE_PLACES = ("/mnt/", "/media/", "/srv/", "/data/")
_OF_THE_SERVER = {"lost+found", ".snapshot", ".zfs"}
_NAMED = 5


class Shares:
    """The shares of a node whose files are below a root directory, "/" but in tests.

    Args:
        root: Where /sys, /proc, /etc and /run are.
        label: What the mark of a share that is ours says.
        mount_point: Where ours may be mounted.
    """

    def __init__(self, root: Path, label: str, mount_point: str) -> None:
        self._root = root
        self._label = label
        self._mount_point = mount_point
        self._mounted = [mount for mount in tables.mounts(root) if mount.kind in _KINDS]

    def candidates(self, handle: str) -> list[Candidate]:
        """Return each share that the kernel, its mounts, /etc/fstab or the handle name, judged."""
        shares: dict[tuple[Kind, str], None] = {}
        for tag in sorted((self._root / "sys/fs/virtiofs").glob("*/tag")):
            shares["virtiofs", tag.read_text().rstrip("\n")] = None
        for mount in [*self._mounted, *tables.fstab(self._root)]:
            if mount.kind in _KINDS:
                shares[_KINDS[mount.kind], mount.source] = None
        if EXPORT.match(handle):
            shares["nfs", handle] = None
        return [self._judge(kind, source) for kind, source in shares]

    def _judge(self, kind: Kind, source: str) -> Candidate:
        places = [mount.place for mount in self._mounted if mount.source == source]
        if taken := sorted(place for place in places if not self._may_stay(place)):
            return _candidate(kind, source, "unfit", f"is in use at {', '.join(taken)}")
        if places:
            return self._look(self._root / places[0].lstrip("/"), kind, source)
        place = Path(tempfile.mkdtemp(prefix="nodestack-look-", dir=self._root / "run"))
        try:
            ended = command("mount", "-t", kind, "-o", _LOOK_OPTIONS[kind], source, str(place))
            if ended.returncode != 0:
                why = f"cannot be mounted ({' '.join(ended.stderr.split())[:300]})"
                return _candidate(kind, source, "unfit", why)
            try:
                return self._look(place, kind, source)
            finally:
                _unmount(place, source)
        finally:
            # Where anything is still mounted there it stays, and the refusal says so.
            with contextlib.suppress(OSError):
                place.rmdir()

    def _may_stay(self, place: str) -> bool:
        return place == self._mount_point or f"{place}/".startswith(_FREE_PLACES)

    def _look(self, place: Path, kind: Kind, source: str) -> Candidate:
        try:
            room = os.statvfs(place)
            held = sorted(set(os.listdir(place)) - _OF_THE_SERVER)
            mark = (place / MARK).read_text().strip() if MARK in held else ""
        except OSError as error:
            return _candidate(kind, source, "unfit", f"cannot be read ({error.strerror})")
        size_bytes = room.f_blocks * room.f_frsize
        if mark == self._label:
            return _candidate(kind, source, "ours", f"is marked {self._label}", size_bytes)
        if not held:
            return _candidate(kind, source, "blank", "is empty", size_bytes)
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        why = f"is neither empty nor marked {self._label}; it holds {', '.join(held[:_NAMED])}{more}"
        return _candidate(kind, source, "unfit", why, size_bytes)


def _candidate(kind: Kind, source: str, state: State, why: str, size_bytes: int = 0) -> Candidate:
    names = (source, Path(source).name) if kind == "nfs" else (source,)
    return Candidate(kind, source, state, why, size_bytes, names)


def _unmount(place: Path, source: str) -> None:
    ended = command("umount", str(place))
    if ended.returncode != 0:
        raise Refused(
            f"{source} was looked at in {place} and cannot be unmounted ({' '.join(ended.stderr.split())}): "
            "unmount it by hand"
        )
