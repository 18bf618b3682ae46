"""Real local nodes for tests: an account in a path with a space, keys, and sessions that pin the host key."""

import base64
import io
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, VolumeRequest
from nodestack.clouds.local import LocalCloud
from nodestack.clouds.local.records import NodeHome, NodeState

BOOT_PATIENCE_S = 60.0


@dataclass(frozen=True)
class KeyPair:
    """A private key in OpenSSH form and its public line."""

    private: str
    public: str


def make_key() -> KeyPair:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())


class Lab:
    """An account of the local cloud, and what tests do with nodes in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cloud = LocalCloud(LocalAccount(directory=str(directory)))
        self.client_key, self.host_key = make_key(), make_key()
        self._numbers = itertools.count(1)

    def name(self) -> str:
        return f"test-{next(self._numbers)}"

    def request(self, name: str, volume_name: str = "") -> NodeRequest:
        """Return a request for a node with a volume of its own, made where it is missing."""
        volume_name = volume_name or name
        volume = self.cloud.find_volume(volume_name) or self.cloud.create_volume(
            VolumeRequest(name=volume_name, size_gib=1)
        )
        return NodeRequest(
            name=name,
            shape="local",
            volume_id=volume.volume_id,
            ssh_public_key=self.client_key.public,
            ssh_host_private_key=SecretStr(self.host_key.private),
        )

    def running(self, name: str = "") -> Node:
        """Return a node that answers, made where it is missing."""
        name = name or self.name()
        made = self.cloud.find_node(name) or self.cloud.create_node(self.request(name), lambda line: None)
        return self.until_running(made)

    def until_running(self, node: Node) -> Node:
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < deadline:
            seen = self.cloud.read_node(node.node_id)
            assert seen is not None, (self.directory / "logs" / f"node-{node.name}.log").read_text()
            if seen.status is NodeStatus.RUNNING:
                return seen
            time.sleep(0.1)
        pytest.fail(f"{node.name} did not answer: " + NodeHome(self.directory / "nodes" / node.name).log.read_text())

    def state(self, node: Node) -> NodeState:
        state = NodeHome(self.directory / "nodes" / node.name).state()
        assert state is not None
        return state

    def on(self, node: Node, command: str) -> str:
        """Return what a command on the node prints; any host key but the one given beforehand is refused."""
        kind, blob = self.host_key.public.split()
        with paramiko.SSHClient() as client:
            place = node.address if node.ssh_port == 22 else f"[{node.address}]:{node.ssh_port}"
            client.get_host_keys().add(place, kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
            client.set_missing_host_key_policy(paramiko.RejectPolicy())
            client.connect(
                node.address,
                node.ssh_port,
                node.ssh_user,
                pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(self.client_key.private)),
                allow_agent=False,
                look_for_keys=False,
                timeout=20,
            )
            _, out, err = client.exec_command(command, timeout=60)
            printed, complaint = out.read().decode(), err.read().decode()
            assert out.channel.recv_exit_status() == 0, f"{command}: {printed}{complaint}"
            return printed.strip()

    def on_booted(self, node: Node, command: str) -> str:
        """As `on`, once cloud-init has finished."""
        return self.on(node, f"cloud-init status --wait > /dev/null && {command}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("an account"))
    yield lab
    for node in lab.cloud.nodes():
        lab.cloud.delete_node(node.node_id)
