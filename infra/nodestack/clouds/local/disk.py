"""A file as a block device: a loop device that goes away by itself with its last user, however that one ends."""

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

from nodestack.errors import CloudError

LOOP_CONTROL = Path("/dev/loop-control")
BLOCK_DEVICES = Path("/sys/block")

# linux/loop.h
_LOOP_CONFIGURE = 0x4C0A
_LOOP_SET_CAPACITY = 0x4C07
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
_LOOP_MAJOR = 7
# struct loop_config: fd, block_size, struct loop_info64 (lo_flags at 52, lo_file_name at 56), 64 bytes reserved.
_LOOP_CONFIG = struct.Struct("=II52sI64s112s64s")
_ATTEMPTS = 32


class LoopDevice:
    """A loop device held open; the kernel detaches it when nobody holds or mounts it any more."""

    def __init__(self, device: Path, descriptor: int) -> None:
        self.device = device
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def attach(disk: Path) -> LoopDevice:
    """Attach a file to a free loop device.

    File and flag are set by one call (LOOP_CONFIGURE, Linux 5.8), so no kill can leave a device behind.

    Raises:
        CloudError: The kernel has no free loop device for us.
    """
    backing = os.open(disk, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            device = _free_device()
            descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _LOOP_CONFIGURE, _configuration(backing, disk))
                return LoopDevice(device, descriptor)
            except OSError as refused:
                os.close(descriptor)
                # Somebody else took the device between the two calls.
                if refused.errno != errno.EBUSY:
                    raise CloudError(f"attaching {disk}: {device} refused it: {refused.strerror}") from refused
    finally:
        os.close(backing)
    raise CloudError(f"attaching {disk}: no loop device stayed free in {_ATTEMPTS} attempts")


def devices_of(disk: Path) -> list[Path]:
    """Return the loop devices a file is attached to."""
    found = []
    for entry in BLOCK_DEVICES.glob("loop*/loop/backing_file"):
        try:
            backing = entry.read_text().rstrip("\n")
        except OSError:
            continue
        if backing == str(disk.resolve()):
            found.append(Path("/dev") / entry.parents[1].name)
    return found


def refresh_size(disk: Path) -> None:
    """Have the loop devices of a file that grew show its new size."""
    for device in devices_of(disk):
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _LOOP_SET_CAPACITY, 0)
        finally:
            os.close(descriptor)


def _free_device() -> Path:
    control = os.open(LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
    device = Path(f"/dev/loop{number}")
    if not device.exists():
        # Where /dev is not the kernel's own file system, new devices get no node by themselves.
        os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
    return device


def _configuration(backing: int, disk: Path) -> bytes:
    shown_name = os.fsencode(disk)[-63:]
    return _LOOP_CONFIG.pack(backing, 0, b"", _LO_FLAGS_AUTOCLEAR, shown_name, b"", b"")
