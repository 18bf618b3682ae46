"""Control groups of a node: one of its own, made beforehand and cleared afterwards."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodestack.errors import HostUnsuitable

MOUNTS = Path("/proc/self/mounts")


def unified_root(mounts: Path = MOUNTS) -> Path | None:
    """Return where the unified hierarchy is mounted, on pure and on hybrid hosts; None where there is none."""
    return next((point for point, kind, _ in _mounted(mounts) if kind == "cgroup2"), None)


def group(node_id: str, part: str) -> Path:
    """Return a part of the node's group, made where it is missing: `supervisor` or `machine`.

    They are two since a machine enables controllers for its children, which the kernel refuses in a group that holds
    processes.

    Raises:
        HostUnsuitable: There is no unified hierarchy.
    """
    root = unified_root()
    if root is None:
        raise HostUnsuitable("local nodes need cgroup2, and it is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    directory = root / f"nodestack-{node_id}" / part
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def inside(directory: Path, argv: Sequence[str]) -> list[str]:
    """Return the command that runs another one in a group from its first instruction on."""
    return ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(directory / "cgroup.procs"), *argv]


def clear(node_id: str, mounts: Path = MOUNTS) -> bool:
    """Remove the node's groups from every hierarchy and return True; False while one still holds a process.

    systemd-nspawn makes one in the first version's hierarchy, too.
    """
    for point, kind, options in _mounted(mounts):
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            for directory, _, _ in os.walk(point / f"nodestack-{node_id}", topdown=False):
                try:
                    Path(directory).rmdir()
                except OSError as refused:
                    if refused.errno == errno.EBUSY:
                        return False
                    raise
    return True


def _mounted(mounts: Path) -> Iterator[tuple[Path, str, str]]:
    for line in mounts.read_text().splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind in {"cgroup", "cgroup2"}:
            yield Path(point), kind, options
