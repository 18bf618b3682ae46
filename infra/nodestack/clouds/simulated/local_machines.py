"""Real machines behind a simulated cloud: each deployment a booted node of this host, each volume a local disk."""

import os
import signal
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, OfferQuery, VolumeRequest
from nodestack.clouds.local import LocalCloud
from nodestack.clouds.local.records import NodeHome, started_at
from nodestack.clouds.local.seed import SSH_USER
from nodestack.clouds.simulated.machines import Order, Place

HOST_KEYS = ("/etc/ssh/nodestack_host_key", "/etc/ssh/ssh_host_ed25519_key")
"""Where an order's cloud-init or startup script puts the host key that the machine shall have."""

_SCRATCH_GIB = 1


class LocalMachines:
    """Nodes and disks of the local cloud, named by the world's ids.

    A local node has its disk from its first boot on: the first volume that is named with the order, or an empty one
    where there is none. Attaching it later is the world's word alone.

    Args:
        directory: The local account that holds them.
        ssh_user: Who may log in.
    """

    def __init__(self, directory: Path, ssh_user: str = SSH_USER) -> None:
        self._directory = directory
        self._cloud = LocalCloud(LocalAccount(directory=str(directory)), ssh_user)

    def start(self, machine_id: str, order: Order) -> None:
        """Start a node; minutes at first, until the node image is built."""
        name = _node_name(machine_id)
        disk = order.disk_ids[0] if order.disk_ids else f"scratch-{machine_id}"
        if not order.disk_ids:
            self.make_disk(disk, _SCRATCH_GIB)
        volume = self._cloud.find_volume(_disk_name(disk))
        request = NodeRequest(
            name=name,
            shape="local",
            volume_id=volume.volume_id if volume is not None else "",
            ssh_public_key=order.ssh_public_key,
            ssh_host_private_key=SecretStr(_host_key(order) or _some_key()),
            hardware_profile=self._profile(order),
        )
        self._cloud.create_node(request, lambda line: None)

    def place(self, machine_id: str) -> Place | None:
        """Return where SSH answers, or will."""
        node = self._node(machine_id)
        return None if node is None else Place(address=node.address, port=node.ssh_port, user=node.ssh_user)

    def is_up(self, machine_id: str) -> bool:
        """Return whether SSH answers."""
        node = self._node(machine_id)
        return node is not None and node.status is NodeStatus.RUNNING

    def is_alive(self, machine_id: str) -> bool:
        """Return whether any process of the node is left."""
        return self._node(machine_id) is not None

    def end(self, machine_id: str, *, at_once: bool = False) -> None:
        """Shut the node down, or kill it, and remove all of it but the disk that was asked for."""
        home = NodeHome(self._directory / "nodes" / _node_name(machine_id))
        state = home.state()
        if at_once and state is not None and started_at(state.pid) == state.start_ticks:
            with suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGKILL)
        record = home.record()
        if record is not None:
            self._cloud.delete_node(record.node_id)
        self.delete_disk(f"scratch-{machine_id}")

    def make_disk(self, disk_id: str, size_gib: int) -> None:
        """Make an empty disk; sparse, so that it takes what is written to it."""
        self._cloud.create_volume(VolumeRequest(name=_disk_name(disk_id), size_gib=size_gib))

    def grow_disk(self, disk_id: str, size_gib: int) -> None:
        """Make a disk larger."""
        volume = self._cloud.find_volume(_disk_name(disk_id))
        if volume is not None:
            self._cloud.grow_volume(volume.volume_id, size_gib)

    def delete_disk(self, disk_id: str) -> None:
        """Delete a disk; one that is gone is no error."""
        volume = self._cloud.find_volume(_disk_name(disk_id))
        if volume is not None:
            self._cloud.delete_volume(volume.volume_id)

    def end_others(self, known: Container[str]) -> None:
        """End the nodes that no order is known of: a server that was killed between the two left them."""
        for node in self._cloud.list_nodes():
            machine_id = node.name.removeprefix(_node_name(""))
            if machine_id not in known:
                self.end(machine_id)

    def _node(self, machine_id: str) -> Node | None:
        return self._cloud.find_node(_node_name(machine_id))

    def _profile(self, order: Order) -> str:
        model = order.offer.gpu.partition("_")[0]
        query = OfferQuery(gpu=model, gpu_count=order.offer.gpu_count, sxm=True)
        return next((offer.offer_id for offer in self._cloud.offers(query)), "")


def _node_name(machine_id: str) -> str:
    return f"m-{machine_id}"


def _disk_name(disk_id: str) -> str:
    return f"d-{disk_id}"


def _host_key(order: Order) -> str:
    return next((order.files[path] for path in HOST_KEYS if path in order.files), "")


def _some_key() -> str:
    """Return a host key that nobody knows beforehand, as a machine without cloud-init has."""
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return private.decode()
