"""The local cloud: an account is a directory, its nodes are systemd machines of this host, its volumes files."""

import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nodestack
from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, Progress, Volume, VolumeRequest
from nodestack.clouds.local import cgroups, commands, disk, hardware, host, image, network, seed
from nodestack.clouds.local.cache import locked
from nodestack.clouds.local.records import (
    POWER_OFF_PATIENCE_S,
    VOLUME_DEVICE,
    NodeHome,
    NodeRecord,
    NodeState,
    started_at,
)
from nodestack.clouds.local.volumes import Volumes
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse

_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = POWER_OFF_PATIENCE_S + 5.0
_KILL_PATIENCE_S = 10.0
_DETACH_PATIENCE_S = 10.0
_POLL_S = 0.02
_ID_BYTES = 4
_NONCE_BYTES = 8
# What the supervisor and the servers it runs inherit: nothing of the caller's may reach them, it may be secret.
_INHERITED = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")


class LocalCloud:
    """One account of the local cloud; see `Cloud` for what each method promises.

    A node without living processes is gone: whoever looks at it clears what is left and finds nothing.

    >>> cloud = LocalCloud(LocalAccount(directory="/var/lib/nodestack"))
    >>> cloud.find_node("surely-not-there") is None
    True
    """

    def __init__(self, account: LocalAccount) -> None:
        self._directory = Path(account.directory)
        self._nodes = self._directory / "nodes"
        self._volumes = Volumes(self._directory / "volumes", self._holder)

    def preflight(self) -> None:
        """Raise HostUnsuitable with everything this machine lacks."""
        host.preflight(self._directory)

    def find_volume(self, name: str) -> Volume | None:
        """Return the volume of this name."""
        return self._volumes.find(name)

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Make an empty volume."""
        return self._volumes.create(request)

    def read_volume(self, volume_id: str) -> Volume | None:
        """Return the volume with this id."""
        return self._volumes.read(volume_id)

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger, attached or not."""
        return self._volumes.grow(volume_id, size_gib)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume with everything on it; VolumeInUse while a node has it."""
        self._volumes.delete(volume_id)

    def find_node(self, name: str) -> Node | None:
        """Return the living node of this name."""
        with self._locked(name) as home:
            return self._living(home)

    def read_node(self, node_id: str) -> Node | None:
        """Return the living node with this id."""
        node = self.find_node(_name_of(node_id))
        return node if node is not None and node.node_id == node_id else None

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        """Start a node; it is BOOTING on return.

        Raises:
            HostUnsuitable: This machine cannot hold nodes.
            VolumeInUse: Another node has the volume.
            CloudError: The name is taken, the volume does not exist, or the node's surroundings could not be made.
        """
        self.preflight()
        files = hardware.files(request.hardware_profile) if request.hardware_profile else {}
        root = image.directory(progress)
        with self._locked(request.name) as home, self._volumes.locked(_name_of(request.volume_id)):
            if self._living(home) is not None:
                raise CloudError(f"node {request.name} exists: adopt it, or delete it first")
            self._require_free(request.volume_id)
            record = self._record(request, root)
            home.upper.mkdir(parents=True)
            home.directory.chmod(0o700)
            seed.place({**files, **seed.files(request, record.identity)}, home.upper, root)
            home.write_record(record)
            progress(f"starting {request.name}")
            _launch(home, record)
            state = self._await_start(home, record)
        return _node(record, state, NodeStatus.BOOTING)

    def delete_node(self, node_id: str) -> None:
        """Shut a node down, or switch it off when it does not go within 15 s, and remove all of it but its volume."""
        home = self._home(_name_of(node_id))
        record = home.record()
        if record is not None and record.node_id == node_id:
            _stop(home)
        with self._locked(home.name):
            record = home.record()
            if record is not None and record.node_id == node_id:
                _clear(home)

    def nodes(self) -> list[Node]:
        """Return all living nodes of the account."""
        names = sorted(entry.parent.name for entry in self._nodes.glob("[a-z0-9]*/node.json"))
        return [node for name in names if (node := self.find_node(name)) is not None]

    def _home(self, name: str) -> NodeHome:
        return NodeHome(self._nodes / name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[NodeHome]:
        with locked(self._nodes / f"{name}.lock"):
            yield self._home(name)

    def _living(self, home: NodeHome) -> Node | None:
        """Return the node if it lives; one that is on its way out is waited for, what is left of it cleared."""
        record, state = home.record(), home.state()
        if record is not None and home.alive:
            if state is None:
                state = self._await_start(home, record)
            if not state.stopping:
                up = network.answers_ssh(state.address, state.ssh_port)
                return _node(record, state, NodeStatus.RUNNING if up else NodeStatus.BOOTING)
            _stop(home)
        _clear(home)
        return None

    def _holder(self, volume_id: str) -> str | None:
        for file in self._nodes.glob("[a-z0-9]*/node.json"):
            home = NodeHome(file.parent)
            record = home.record()
            if record is not None and record.volume_id == volume_id and home.alive:
                return record.node_id
        return None

    def _require_free(self, volume_id: str) -> None:
        volume = self._volumes.read(volume_id)
        if volume is None:
            raise CloudError(f"volume {volume_id} does not exist in {self._directory}: create it first")
        if volume.attached_to is not None:
            raise VolumeInUse(f"volume {volume.name} is attached to node {volume.attached_to}: delete that node first")

    def _record(self, request: NodeRequest, root: Path) -> NodeRecord:
        node_id = f"{request.name}-{secrets.token_hex(_ID_BYTES)}"
        logs = self._directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return NodeRecord(
            node_id=node_id,
            identity=f"{node_id}-{secrets.token_hex(_NONCE_BYTES)}",
            name=request.name,
            shape=request.shape,
            volume_id=request.volume_id,
            hardware_profile=request.hardware_profile,
            image=str(root),
            disk=str(self._volumes.file(request.volume_id)),
            hub_log=str(logs / f"hub-{request.name}.jsonl"),
        )

    def _await_start(self, home: NodeHome, record: NodeRecord) -> NodeState:
        """Return the supervisor's word once it knows the address; clears the node if it ended instead."""

        def told() -> NodeState | None:
            state = home.state()
            return state if state is not None and (state.address or state.problem) else None

        _until(lambda: told() is not None or not home.alive, _START_PATIENCE_S)
        state = told()
        if state is not None and state.address and home.alive:
            return state
        if home.alive:
            raise AmbiguousError(f"node {record.name} neither starts nor ends: see {home.log}, then delete it")
        problem = state.problem if state is not None else ""
        _clear(home)
        raise CloudError(f"node {record.name} could not be started: {problem or f'see {home.log}'}")


def _name_of(an_id: str) -> str:
    return an_id.rpartition("-")[0]


def _node(record: NodeRecord, state: NodeState, status: NodeStatus) -> Node:
    return Node(
        node_id=record.node_id,
        identity=record.identity,
        name=record.name,
        shape=record.shape,
        status=status,
        address=state.address,
        ssh_port=state.ssh_port,
        ssh_user=seed.SSH_USER,
        volume_id=record.volume_id,
        volume_device=VOLUME_DEVICE,
        hardware_profile=record.hardware_profile,
    )


def _launch(home: NodeHome, record: NodeRecord) -> None:
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
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["PYTHONPATH"] = str(Path(nodestack.__file__).parents[1])
        with home.log.open("wb") as log:
            detached = ["setsid", "--fork", *cgroups.inside(group, namespaces)]
            commands.start(detached, log=log, environment=environment, keep=lock).wait()
    finally:
        os.close(lock)


def _stop(home: NodeHome) -> None:
    """Have a node end: by its own shutdown, after that by force.

    Raises:
        AmbiguousError: Processes of it remain.
    """
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


def _clear(home: NodeHome) -> None:
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
