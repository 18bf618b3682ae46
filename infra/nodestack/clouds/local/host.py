"""Whether this machine can hold local nodes, found out before anything is made; one message names all that lacks."""

import os
import shutil
import tempfile
from pathlib import Path

from nodestack.clouds.local import cgroups, commands, disk
from nodestack.errors import CloudError, HostUnsuitable

# Program and the Debian or Ubuntu package that has it.
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "slirp4netns": "slirp4netns",
    "ip": "iproute2",
    "mount": "mount",
    "apt-get": "apt",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
_TUN = Path("/dev/net/tun")
TRIAL = "mkdir lower upper work root && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root"


def preflight(directory: Path) -> None:
    """Return when nodes can live on this machine, with their directories below `directory`.

    Raises:
        HostUnsuitable: They cannot; says everything that is missing and how to get it.
    """
    if os.geteuid() != 0:
        raise HostUnsuitable(
            f"local nodes are systemd machines, which only root may start, and this is user {os.geteuid()}: "
            "run as root (sudo -E), or choose another target"
        )
    missing = [*_missing_tools(), *_missing_kernel_parts()]
    # The trial needs the tools.
    if not missing:
        missing = _failed_trial(directory)
    if missing:
        raise HostUnsuitable(f"this machine cannot hold local nodes: {'; '.join(missing)}")


def _missing_tools() -> list[str]:
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not absent:
        return []
    packages = dict.fromkeys(TOOLS[tool] for tool in absent)
    return [f"{', '.join(absent)} not installed (apt-get install {' '.join(packages)})"]


def _missing_kernel_parts() -> list[str]:
    missing = []
    if not disk.LOOP_CONTROL.exists():
        missing.append(f"no {disk.LOOP_CONTROL} (modprobe loop; in a container, pass it in)")
    if not _TUN.exists():
        missing.append(f"no {_TUN} (modprobe tun; in a container, pass it in)")
    group_root = cgroups.unified_root()
    if group_root is None:
        missing.append("no cgroup2 mount (mount -t cgroup2 cgroup2 /sys/fs/cgroup, or boot with unified cgroups)")
    elif not os.access(group_root, os.W_OK) or os.statvfs(group_root).f_flag & os.ST_RDONLY:
        missing.append(f"{group_root} is read-only (a container needs --privileged)")
    return missing


def _failed_trial(directory: Path) -> list[str]:
    """Try what nodes need of kernel and file system, in namespaces that end with the trial."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        return [f"the account's directory {directory} cannot be made ({refused.strerror}): choose another one"]
    with tempfile.TemporaryDirectory(dir=directory, prefix=".trial-") as trial:
        try:
            commands.run(
                ["unshare", "--fork", "--pid", "--mount", "--net", "--mount-proc", "sh", "-c", TRIAL],
                doing="trying an overlay mount in namespaces of its own",
                cwd=Path(trial),
            )
        except CloudError as failed:
            return [f"{failed} (a container needs --privileged; {directory} must not lie on overlayfs or NFS)"]
    return []
