"""The local cloud: an account is a directory, its nodes are systemd machines of this host, its volumes files."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodestack.clouds.base import (
    Balance,
    LocalAccount,
    Node,
    NodeRequest,
    NodeStatus,
    Offer,
    OfferQuery,
    Progress,
    Volume,
    VolumeRequest,
)
from nodestack.clouds.local import hardware, host, machines, network, offers, seed, supplies
from nodestack.clouds.local.cache import locked
from nodestack.clouds.local.records import VOLUME_DEVICE, NodeHome, NodeRecord, NodeState
from nodestack.clouds.local.volumes import Volumes
from nodestack.errors import CloudError, VolumeInUse

_ID_BYTES = 4
_NONCE_BYTES = 8


class LocalCloud:
    """One account of the local cloud; see `Cloud` for what each method promises.

    A node without living processes is gone: whoever looks at it clears what is left and finds nothing.

    Args:
        account: Where it is.
        ssh_user: Who may log in at the nodes of this account, `root` included.

    >>> cloud = LocalCloud(LocalAccount(directory="/var/lib/nodestack"))
    >>> cloud.find_node("surely-not-there") is None
    True
    """

    poll_s = 0.5
    unique_names = True

    def __init__(self, account: LocalAccount, ssh_user: str = seed.SSH_USER) -> None:
        self._ssh_user = ssh_user
        self._directory = Path(account.directory)
        self._nodes = self._directory / "nodes"
        self._volumes = Volumes(self._directory / "volumes", self._holder)

    def preflight(self) -> None:
        """Raise HostUnsuitable with everything this machine lacks."""
        host.preflight(self._directory)

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Return the recorded hardware that matches; it costs nothing."""
        return offers.matching(query)

    def balance(self) -> Balance | None:
        """Return None: nothing is paid for."""
        return None

    def find_volume(self, name: str) -> Volume | None:
        """Return the volume of this name."""
        return self._volumes.find(name)

    def list_volumes(self) -> tuple[Volume, ...]:
        """Return all volumes of the account."""
        return tuple(volume for name in self._volumes.names() if (volume := self._volumes.find(name)) is not None)

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Make an empty volume."""
        return self._volumes.create(request)

    def read_volume(self, volume_id: str) -> Volume | None:
        """Return the volume with this id."""
        return self._volumes.read(volume_id)

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger, attached or not."""
        return self._volumes.grow(volume_id, size_gib)

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        """Raise VolumeInUse for any node but the one that was made with the volume."""
        if self._holder(volume_id) != node_id:
            raise VolumeInUse(
                f"volume {volume_id} cannot be attached to node {node_id}: a local node has the volume it was made "
                "with, delete the node and make it with this one"
            )

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        """Raise VolumeInUse while the node lives: its volume goes with it."""
        if self._holder(volume_id) == node_id:
            raise VolumeInUse(f"volume {volume_id} is local node {node_id}'s for as long as it lives: delete the node")

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume with everything on it; VolumeInUse while a node has it."""
        self._volumes.delete(volume_id)

    def list_nodes(self) -> tuple[Node, ...]:
        """Return all living nodes of the account."""
        names = sorted(entry.parent.name for entry in self._nodes.glob("[a-z0-9]*/node.json"))
        return tuple(node for name in names if (node := self.find_node(name)) is not None)

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
        progress("preparing what nodes are made of, minutes at first")
        root = supplies.prepare(progress)[supplies.IMAGE]
        with self._locked(request.name) as home, self._volumes.locked(_name_of(request.volume_id)):
            if self._living(home) is not None:
                raise CloudError(f"node {request.name} exists: adopt it, or delete it first")
            self._require_free(request.volume_id)
            record = self._record(request, root)
            home.upper.mkdir(parents=True)
            home.directory.chmod(0o700)
            seed.place({**files, **seed.files(request, record.identity, self._ssh_user)}, home.upper, root)
            home.write_record(record)
            progress(f"starting {request.name}")
            machines.launch(home, record)
            state = machines.started(home)
            if state is None:
                told = home.state()
                machines.clear(home)
                problem = told.problem if told is not None else ""
                raise CloudError(f"node {request.name} could not be started: {problem or f'see {home.log}'}")
        return self._node(record, state, NodeStatus.BOOTING)

    def delete_node(self, node_id: str) -> None:
        """Shut a node down, or switch it off when it does not go within 15 s, and remove all of it but its volume."""
        home = self._home(_name_of(node_id))
        record = home.record()
        if record is not None and record.node_id == node_id:
            machines.stop(home)
        with self._locked(home.name):
            record = home.record()
            if record is not None and record.node_id == node_id:
                machines.clear(home)

    def nodes(self) -> list[Node]:
        """Return all living nodes of the account."""
        return list(self.list_nodes())

    def _home(self, name: str) -> NodeHome:
        return NodeHome(self._nodes / name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[NodeHome]:
        with locked(self._nodes / f"{name}.lock"):
            yield self._home(name)

    def _living(self, home: NodeHome) -> Node | None:
        """Return the node if it lives; one that is being deleted is seen off, what is left of a dead one cleared."""
        record = home.record()
        if record is not None and home.alive:
            state = None if home.condemned else machines.started(home)
            if state is not None:
                up = network.answers_ssh(state.address, state.ssh_port)
                return self._node(record, state, NodeStatus.RUNNING if up else NodeStatus.BOOTING)
            machines.stop(home)
        machines.clear(home)
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

    def _node(self, record: NodeRecord, state: NodeState, status: NodeStatus) -> Node:
        return Node(
            node_id=record.node_id,
            identity=record.identity,
            name=record.name,
            shape=record.shape,
            status=status,
            address=state.address,
            ssh_port=state.ssh_port,
            ssh_user=self._ssh_user,
            volume_id=record.volume_id,
            volume_device=VOLUME_DEVICE,
            hardware_profile=record.hardware_profile,
        )


def _name_of(an_id: str) -> str:
    return an_id.rpartition("-")[0]
