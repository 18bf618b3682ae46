"""What a node may leave behind on its host, looked up from outside."""

import os
from pathlib import Path

from nodestack.clouds.base import Node


def remains(node: Node, account: Path) -> list[str]:
    """Return processes, network namespaces, mounts and loop devices of a node that still exist."""
    home, disk = account / "nodes" / node.name, account / "volumes" / f"{node.volume_id.rpartition('-')[0]}.img"
    return [*_processes(node, home), *_mounts(home), *_loops(disk), *_listeners(node)]


def _processes(node: Node, home: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            working = str((process / "cwd").readlink())
            group = (process / "cgroup").read_text()
        except OSError:
            continue
        if str(home) in words or node.node_id in group or working.startswith(str(home)):
            found.append(f"process {process.name}: {words}")
    return found


def _mounts(home: Path) -> list[str]:
    mounts = Path("/proc/self/mountinfo").read_text().replace("\\040", " ").splitlines()
    return [f"mount: {line}" for line in mounts if str(home) in line]


def _loops(disk: Path) -> list[str]:
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = backing.read_text().strip()
        except OSError:
            continue
        if file == str(disk):
            found.append(f"loop device {backing.parents[1].name}: {file}")
    return found


def _listeners(node: Node) -> list[str]:
    """Return forwards that still listen: the network of the node has not ended."""
    octets = "".join(f"{int(octet):02X}" for octet in reversed(node.address.split(".")))
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [f"listener {local}" for _, local, _, state, *_ in sockets if state == "0A" and local.startswith(octets)]


def network_namespaces() -> set[str]:
    """Return the network namespaces that any process of this host lives in."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    return found


def control_groups(node: Node) -> list[Path]:
    """Return the control groups of a node, empty ones too."""
    return [*Path("/sys/fs/cgroup").glob(f"*{node.node_id}"), *Path("/sys/fs/cgroup").glob(f"*/*{node.node_id}")]
