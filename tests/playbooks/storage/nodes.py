"""A node below a directory: disks that are real loop devices, recorded /sys and /proc, a stand-in that mounts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROLE = Path(__file__).parents[3] / "playbooks/roles/storage"
GIB = 1 << 30
LABEL, MOUNT_POINT = "nodestack", "/srv/nodestack"
_MOUNTED = "36 25 {number} / {place} rw,relatime shared:1 - {kind} {source} rw\n"
_MOUNT = """#!/bin/sh
# mount -t KIND -o OPTIONS SOURCE PLACE, of the shares in a directory.
echo "$@" >> "$SHARES/../mounts.log"
case "$4" in *ro,*) ;; *) exit 9 ;; esac
share="$SHARES/$(echo "$5" | tr / _)"
[ -d "$share" ] || { echo "mount: $5: no such share" >&2; exit 32; }
cp -a "$share/." "$6/"
"""
_UMOUNT = """#!/bin/sh
[ ! -e "$SHARES/stuck" ] || { echo "umount: target is busy" >&2; exit 32; }
find "$1" -mindepth 1 -delete
"""


class ProbedNode:
    """What the program that finds volumes gets to see, and the program."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a root"
        self.shares = directory / "shares"
        self.programs = directory / "programs"
        self.path = f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin"
        for place in ("dev", "sys/dev/block", "sys/devices", "sys/fs/virtiofs", "proc/self", "etc", "run"):
            (self.root / place).mkdir(parents=True)
        self.shares.mkdir()
        self.programs.mkdir()
        for name, text in (("mount", _MOUNT), ("umount", _UMOUNT)):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        (self.root / "proc/self/mountinfo").write_text("22 27 0:21 / /proc rw,relatime - proc proc rw\n")
        (self.root / "proc/swaps").write_text("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
        self._loops: list[str] = []

    def disk(self, name: str, size_bytes: int = 64 << 20, **described: str) -> Path:
        """Attach an empty disk and return its device; further words are files of its /sys directory."""
        image = self.root.parent / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(size_bytes)
        loop = run("losetup", "--find", "--show", str(image)).strip()
        self._loops.append(loop)
        number = os.stat(loop).st_rdev
        device = self.root / "dev" / name
        os.mknod(device, 0o660 | 0o060000, number)
        self.describe(name, f"{os.major(number)}:{os.minor(number)}", **{"ro": "0", "removable": "0", **described})
        return device

    def describe(self, name: str, number: str, below: str = "", **described: str) -> Path:
        """Record what /sys says of a device: a disk, or a partition or holder below one."""
        place = self.root / "sys/devices" / below / name
        place.mkdir(parents=True)
        for file, text in {"dev": number, **described}.items():
            (place / file.replace("__", "/")).parent.mkdir(exist_ok=True)
            (place / file.replace("__", "/")).write_bytes(f"{text}\n".encode("latin-1"))
        (self.root / "sys/dev/block" / number).symlink_to(place)
        return place

    def mounted(self, number: str, place: str, kind: str = "ext4", source: str = "/dev/nowhere") -> None:
        """Record a mount."""
        with (self.root / "proc/self/mountinfo").open("a") as file:
            file.write(_MOUNTED.format(number=number, place=place, kind=kind, source=source))

    def share(self, source: str, *files: str, mark: str = "", tag: bool = False) -> Path:
        """Have a server offer a share with some files; with `tag`, as a virtiofs device of this node."""
        place = self.shares / source.replace("/", "_")
        place.mkdir()
        for file in files:
            (place / file).touch()
        if mark:
            (place / ".nodestack-volume").write_text(f"{mark}\n")
        if tag:
            device = self.root / "sys/fs/virtiofs" / str(len(list(self.shares.iterdir())))
            device.mkdir()
            (device / "tag").write_text(f"{source}\n")
        return place

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "nodestack_storage.find", f"--root={self.root}"),
                *(f"--label={LABEL}", f"--mount-point={MOUNT_POINT}", *arguments),
            ],
            cwd=ROLE / "files",
            env={
                **os.environ,
                "PATH": self.path,
                "SHARES": str(self.shares),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def found(self, *arguments: str) -> dict[str, Any]:
        """Return what was found."""
        printed, complaint = self._ended(*arguments)
        assert complaint == ""
        found: dict[str, Any] = json.loads(printed)
        return found

    def refused(self, *arguments: str) -> str:
        """Return the one line of a refusal."""
        printed, complaint = self._ended(*arguments)
        assert printed == ""
        (line,) = complaint.splitlines()
        return line

    def _ended(self, *arguments: str) -> tuple[str, str]:
        with self.start(*arguments) as program:
            printed, complaint = program.communicate(timeout=60)
        assert program.returncode == (1 if complaint else 0), complaint
        return printed, complaint

    def close(self) -> None:
        """Detach the disks."""
        for loop in self._loops:
            run("losetup", "--detach", loop)


def run(*command: str) -> str:
    """Run a program and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
