"""A whole cloud in memory: it does what it is told, takes one name twice as real clouds do, and fails on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from nodestack.clouds.base import (
    Balance,
    Node,
    NodeRequest,
    NodeStatus,
    Offer,
    OfferQuery,
    Progress,
    Volume,
    VolumeRequest,
)
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse


class Fault(Enum):
    """How a call goes wrong."""

    REFUSED = "refused before anything was done"
    ANSWER_LOST = "done, but the answer is lost"


class MemoryCloud:
    """Implements `nodestack.clouds.base.Cloud`.

    Attributes:
        nodes: All nodes that exist, by id.
        volumes: All volumes that exist, by id.
        asked_to_delete: Ids of volumes somebody asked to delete.
        calls: Names of the calls made, in order.
        boot_polls: How often a node is seen booting before it runs.
        address: Where its nodes say that SSH answers, with its port.
    """

    poll_s = 0.0
    unique_names = True

    def __init__(self, boot_polls: int = 0, address: tuple[str, int] = ("192.0.2.1", 22)) -> None:
        self.nodes: dict[str, Node] = {}
        self.volumes: dict[str, Volume] = {}
        self.asked_to_delete: set[str] = set()
        self.calls: list[str] = []
        self.boot_polls = boot_polls
        self.address, self.ssh_port = address
        self._polls: dict[str, int] = {}
        self._made = 0
        self._fault: tuple[int, Fault] | None = None

    def fail(self, after_calls: int, fault: Fault) -> None:
        """Let one call go wrong: the next for 0, the one after it for 1."""
        self._fault = (after_calls, fault)

    def heal(self) -> None:
        """Take back what `fail` asked for."""
        self._fault = None

    def preflight(self) -> None:
        with self._call("preflight"):
            pass

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        with self._call("offers"):
            return ()

    def balance(self) -> Balance | None:
        with self._call("balance"):
            return None

    def list_volumes(self) -> tuple[Volume, ...]:
        with self._call("list_volumes"):
            return tuple(self.volumes.values())

    def list_nodes(self) -> tuple[Node, ...]:
        with self._call("list_nodes"):
            return tuple(self.nodes.values())

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        with self._call("attach_volume"):
            self.volumes[volume_id] = self.volumes[volume_id].model_copy(update={"attached_to": node_id})

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        with self._call("detach_volume"):
            self.volumes[volume_id] = self.volumes[volume_id].model_copy(update={"attached_to": None})

    def find_volume(self, name: str) -> Volume | None:
        with self._call("find_volume"):
            return next((volume for volume in self.volumes.values() if volume.name == name), None)

    def create_volume(self, request: VolumeRequest) -> Volume:
        with self._call("create_volume"):
            volume = Volume(volume_id=self._new_id(), name=request.name, size_gib=request.size_gib)
            self.volumes[volume.volume_id] = volume
        return volume

    def read_volume(self, volume_id: str) -> Volume | None:
        with self._call("read_volume"):
            return self.volumes.get(volume_id)

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        with self._call("grow_volume"):
            if size_gib < self.volumes[volume_id].size_gib:
                raise VolumeInUse("volumes do not shrink")
            self.volumes[volume_id] = self.volumes[volume_id].model_copy(update={"size_gib": size_gib})
        return self.volumes[volume_id]

    def delete_volume(self, volume_id: str) -> None:
        with self._call("delete_volume"):
            self.asked_to_delete.add(volume_id)
            self.volumes.pop(volume_id, None)

    def find_node(self, name: str) -> Node | None:
        with self._call("find_node"):
            return next((node for node in self.nodes.values() if node.name == name), None)

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        with self._call("create_node"):
            node_id = self._new_id()
            node = Node(
                node_id=node_id,
                identity=f"{node_id}/nonce",
                name=request.name,
                shape=request.shape,
                status=NodeStatus.BOOTING,
                address="",
                ssh_port=self.ssh_port,
                ssh_user="ubuntu",
                volume_id=request.volume_id,
                volume_device="/dev/vdb",
                hardware_profile=request.hardware_profile,
            )
            self.nodes[node_id] = node
        return node

    def read_node(self, node_id: str) -> Node | None:
        with self._call("read_node"):
            node = self.nodes.get(node_id)
            if node is not None and node.status is NodeStatus.BOOTING:
                self._polls[node_id] = self._polls.get(node_id, 0) + 1
                if self._polls[node_id] > self.boot_polls:
                    node = node.model_copy(update={"status": NodeStatus.RUNNING, "address": self.address})
                    self.nodes[node_id] = node
            return node

    def delete_node(self, node_id: str) -> None:
        with self._call("delete_node"):
            self.nodes.pop(node_id, None)

    def vanish(self, node_id: str) -> None:
        """Take a node away as a spot market does."""
        del self.nodes[node_id]

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.calls.append(name)
        fault = None
        if self._fault is not None:
            left, kind = self._fault
            self._fault = (left - 1, kind) if left else None
            fault = None if left else kind
        if fault is Fault.REFUSED:
            raise CloudError(f"{name} was refused")
        yield
        if fault is Fault.ANSWER_LOST:
            raise AmbiguousError(f"no answer to {name}")

    def _new_id(self) -> str:
        self._made += 1
        return f"id-{self._made}"
