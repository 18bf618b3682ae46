"""A node's processes as a whole: start them, wait for them, end them, and clear what they left."""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nodestack
from nodestack.clouds.local import cgroups, commands, disk
from nodestack.clouds.local.records import POWER_OFF_PATIENCE_S, NodeHome, NodeRecord, NodeState, started_at
from nodestack.errors import AmbiguousError

_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = POWER_OFF_PATIENCE_S + 5.0
_KILL_PATIENCE_S = 10.0
_DETACH_PATIENCE_S = 10.0
_POLL_S = 0.02
# What the supervisor and the servers it runs inherit: nothing of the caller's may reach them, it may be secret.
INHERITED = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")


def launch(home: NodeHome, record: NodeRecord) -> None:
    """Start the supervisor in namespaces, a session and a control group of its own.

    The lock goes from hand to hand: it is held before there is a supervisor, so no moment of a kill finds the node
    both dead and about to live.
    """
    lock = os.open(home.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        supervisor = [sys.executable, "-P", "-m", "nodestack.clouds.local.supervisor", str(home.directory), str(lock)]
        namespaces = ["unshare", "--fork", "--kill-child", "--pid", "--mount", *supervisor]
        group = cgroups.group(record.node_id, "supervisor")
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment["PYTHONPATH"] = str(Path(nodestack.__file__).parents[1])
        with home.log.open("wb") as log:
            detached = ["setsid", "--fork", *cgroups.inside(group, namespaces)]
            commands.start(detached, log=log, environment=environment, keep=lock).wait()
    finally:
        os.close(lock)


def started(home: NodeHome) -> NodeState | None:
    """Return the supervisor's word once it knows the address; None when it ended instead.

    Raises:
        AmbiguousError: It does neither.
    """

    def told() -> NodeState | None:
        state = home.state()
        # What a dead supervisor leaves is about to die as well: that is a node no more.
        known = state is not None and state.address and started_at(state.pid) == state.start_ticks
        return state if known else None

    if not _until(lambda: told() is not None or not home.alive, _START_PATIENCE_S):
        raise AmbiguousError(f"node {home.name} neither starts nor ends: see {home.log}, then delete it")
    return told() if home.alive else None


def stop(home: NodeHome) -> None:
    """Have a node end: by its own shutdown, after that by force.

    Raises:
        AmbiguousError: Processes of it remain.
    """
    home.condemn()
    for number, patience_s in ((signal.SIGTERM, _STOP_PATIENCE_S), (signal.SIGKILL, _KILL_PATIENCE_S)):
        _until(lambda: home.state() is not None or not home.alive, _START_PATIENCE_S)
        state = home.state()
        if state is not None:
            _signal(state, number)
        if _until(lambda: not home.alive, patience_s):
            return
    raise AmbiguousError(f"node {home.name} does not end: see which process holds {home.supervisor_lock} (fuser -v)")


def _signal(state: NodeState, number: signal.Signals) -> None:
    try:
        process = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return
    try:
        # Checked after opening: from here on the descriptor means this process and no later one of its number.
        if started_at(state.pid) == state.start_ticks:
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def clear(home: NodeHome) -> None:
    """Remove what a dead node left: its directory and its empty control groups; the kernel took the rest.

    Raises:
        AmbiguousError: Its volume is still attached somewhere.
    """
    record = home.record()
    if record is not None:
        file = Path(record.disk)
        if not _until(lambda: not disk.devices_of(file), _DETACH_PATIENCE_S):
            raise AmbiguousError(f"{file} is still attached to {disk.devices_of(file)[0]}: see who uses it (fuser -vm)")
        if not _until(lambda: cgroups.clear(record.node_id), _KILL_PATIENCE_S):
            raise AmbiguousError(f"node {home.name} has ended but processes remain in its control group: kill them")
    remains = home.directory.with_name(f".{home.name}.removed")
    shutil.rmtree(remains, ignore_errors=not remains.exists())
    if home.directory.exists():
        home.directory.rename(remains)
        shutil.rmtree(remains)


def _until(done: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
