"""Runs on a node: tries what each directive of the engine's unit is to deny, and prints as JSON what was let through.

Arguments: names of probes, none for all. Every probe is a process of its own, since some denials kill. Changes nothing:
what could is asked for with arguments that no kernel takes, or undone.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import socket
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
# x86-64 and AArch64 know the newer calls by the same numbers; the older ones are named where they differ.
INTEL = platform.machine() == "x86_64"
CALLS = {
    "reboot": 169 if INTEL else 142,
    "swapon": 167 if INTEL else 224,
    "init_module": 175 if INTEL else 105,
    "mount": 165 if INTEL else 40,
    "ptrace": 101 if INTEL else 117,
    "syslog": 103 if INTEL else 116,
    "clock_settime": 227 if INTEL else 112,
    "perf_event_open": 298 if INTEL else 241,
    "bpf": 321 if INTEL else 280,
}
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
PR_GET_NO_NEW_PRIVS, PER_LINUX32 = 39, 8
METADATA = ("169.254.169.254", 9)
MARKER = Path("/tmp/nodestack-probe")  # noqa: S108 - what another user has there is not to be seen


class Denied(Exception):
    """What was tried was not let through; the message says how."""


def call(name: str, *arguments: object) -> None:
    """Make a system call; any error but a denial counts as let through, since the kernel looked at it."""
    ctypes.set_errno(0)
    result = LIBC.syscall(CALLS[name], *arguments)
    if result < 0 and ctypes.get_errno() in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise Denied(f"{name}: {errno.errorcode[ctypes.get_errno()]}")


def write(*places: str) -> None:
    """Write a file below one of these directories."""
    said = []
    for place in places:
        try:
            with tempfile.NamedTemporaryFile(dir=place):
                return
        except OSError as error:
            said.append(f"{place}: {errno.errorcode[error.errno or 0]}")
    raise Denied(", ".join(said))


def tunables() -> None:
    for path in ("/proc/sys/kernel/panic", "/proc/sys/vm/swappiness", "/proc/sys/net/ipv4/ip_forward"):
        try:
            os.close(os.open(path, os.O_WRONLY))
            return
        except OSError as error:
            said = f"{path}: {errno.errorcode[error.errno or 0]}"
    raise Denied(said)


def home() -> None:
    if not [found for place in ("/root", "/home") for found in os.listdir(place)]:
        raise Denied("nothing is in /root and /home")


def modules() -> None:
    call("init_module", 0, 0, 0)


def kernel_log() -> None:
    with suppress(FileNotFoundError):
        os.close(os.open("/dev/kmsg", os.O_RDONLY))
    call("syslog", 10, 0, 0)


def control_groups() -> None:
    own = Path("/proc/self/cgroup").read_text().strip().rsplit(":", 1)[1]
    place = Path("/sys/fs/cgroup") / own.lstrip("/") / "probe"
    place.mkdir()
    place.rmdir()


def host_name() -> None:
    name = socket.gethostname().encode()
    if LIBC.sethostname(name, len(name)) < 0:
        raise Denied(errno.errorcode[ctypes.get_errno()])


def namespaces() -> None:
    for kind in (CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET):
        if LIBC.unshare(kind) == 0:
            return
    raise Denied(f"unshare: {errno.errorcode[ctypes.get_errno()]}")


def suid() -> None:
    with tempfile.NamedTemporaryFile(dir=".") as file:
        os.chmod(file.name, 0o4700)
        if not Path(file.name).stat().st_mode & stat.S_ISUID:
            raise Denied("the bit is not there")


def foreign_architecture() -> None:
    if not INTEL:
        raise Denied("this processor runs no other")
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid, as 32-bit programs ask for it
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    if ctypes.CFUNCTYPE(ctypes.c_int)(address)() != os.getpid():
        raise Denied("no answer")


def personality() -> None:
    if LIBC.personality(PER_LINUX32) < 0:
        raise Denied(errno.errorcode[ctypes.get_errno()])


def devices() -> None:
    os.close(os.open("/dev/vdb", os.O_RDONLY))


def no_new_privileges() -> None:
    if LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1:
        raise Denied("set for good")


def open_socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def metadata_service() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"", METADATA)


def other_processes() -> None:
    owners = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError):
            owners.add(os.stat(f"/proc/{pid}").st_uid)
    if owners <= {os.getuid()}:
        raise Denied("only its own are there")


def temporary_files() -> None:
    MARKER.stat()


def mounts() -> None:
    if os.readlink("/proc/self/ns/mnt") == MARKER.read_text():
        return
    raise Denied("another mount namespace")


def open_files() -> None:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        path = Path(directory, "file")
        path.touch()
        if not path.stat().st_mode & 0o077:
            raise Denied("nobody else may read it")


PROBES: dict[str, Callable[[], None]] = {
    "CapabilityBoundingSet": lambda: open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "DevicePolicy": devices,
    "IPAddressDeny": metadata_service,
    "LockPersonality": personality,
    "NoNewPrivileges": no_new_privileges,
    "PrivateTmp": temporary_files,
    "ProtectControlGroups": control_groups,
    "ProtectHome": home,
    "ProtectHostname": host_name,
    "ProtectKernelLogs": kernel_log,
    "ProtectKernelModules": modules,
    "ProtectKernelTunables": tunables,
    "ProtectProc": other_processes,
    "ProtectSystem": lambda: write("/etc", "/usr/local/lib", "/var/lib", "/srv/nodestack", "/srv/nodestack/weights"),
    "RestrictAddressFamilies": lambda: open_socket(socket.AF_PACKET, socket.SOCK_RAW),
    "RestrictNamespaces": namespaces,
    "RestrictRealtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "RestrictSUIDSGID": suid,
    "SystemCallArchitectures": foreign_architecture,
    "SystemCallFilter": lambda: call("ptrace", 0, 0, 0, 0),
    "SystemCallFilter (bpf)": lambda: call("bpf", -1, 0, 0),
    "SystemCallFilter (clock)": lambda: call("clock_settime", 99, 0),
    "SystemCallFilter (mount)": lambda: call("mount", 0, 0, 0, 0, 0),
    "SystemCallFilter (perf)": lambda: call("perf_event_open", 0, 0, 0, 0, 0),
    "SystemCallFilter (reboot)": lambda: call("reboot", 0, 0, 0, 0),
    "SystemCallFilter (setuid)": lambda: os.setresuid(0, 0, 0),
    "SystemCallFilter (swap)": lambda: call("swapon", 0, 0),
    "UMask": open_files,
}
"""By directive; in brackets where one has several."""


def tried(name: str) -> tuple[bool, str]:
    """Return whether a probe was let through, and what was said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        said, passed = "", True
        try:
            PROBES[name]()
        except Denied as denial:
            said, passed = str(denial), False
        except OSError as error:
            said, passed = errno.errorcode[error.errno or 0], False
        except BaseException as error:
            said, passed = repr(error), False
        os.write(writer, json.dumps([passed, said]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said_by_child = pipe.read()
    _, status = os.waitpid(child, 0)
    if not said_by_child:
        return False, f"ended with status {status}"
    passed, text = json.loads(said_by_child)
    return bool(passed), str(text)


if __name__ == "__main__":
    print(json.dumps({name: tried(name) for name in sys.argv[1:] or PROBES}))
