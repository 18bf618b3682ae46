"""A real local node that tests of roles boot, and the way to it."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, VolumeRequest
from nodestack.clouds.local import LocalCloud

BOOT_PATIENCE_S = 240.0
# What ssh says of a connection that never was: nothing has run yet, so it may be tried again.
_NO_CONNECTION = re.compile(
    r"(Connection|kex_exchange_identification).*(refused|reset|closed|timed out)", re.IGNORECASE
)
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Play:
    """What a run of roles came to.

    Attributes:
        exit_code: Ansible's.
        text: All it printed.
    """

    exit_code: int
    text: str

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return int(self.text.rsplit("changed=", 1)[1].split()[0])

    @property
    def failure(self) -> str:
        """The last message of a task that failed."""
        return self.text.rsplit("FAILED! => ", 1)[-1] if "FAILED! => " in self.text else ""


@dataclass
class Reached:
    """A node and the way to it.

    Attributes:
        node: The node.
        directory: Of its keys, and of the variables that it is played with.
    """

    node: Node
    directory: Path

    @property
    def ssh_options(self) -> list[str]:
        """What makes ssh take this node's keys and no other."""
        return [
            *("-i", f"{self.directory}/key", "-o", f'UserKnownHostsFile="{self.directory}/known_hosts"'),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-F", "none"),
        ]

    @property
    def variables(self) -> dict[str, object]:
        """What Ansible reaches it with."""
        return {
            "ansible_host": self.node.address,
            "ansible_port": self.node.ssh_port,
            "ansible_user": self.node.ssh_user,
            "ansible_ssh_private_key_file": f"{self.directory}/key",
            "ansible_ssh_common_args": f"-F none -o 'UserKnownHostsFile=\"{self.directory}/known_hosts\"'",
        }

    def ssh(
        self, command: str, timeout_s: float = 300, patience_s: float = _PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the login user's.

        Args:
            command: For the shell.
            timeout_s: It must have ended by then.
            patience_s: For how long a connection is tried again that did not come to be.
        """
        destination = f"{self.node.ssh_user}@{self.node.address}"
        words = ["ssh", *self.ssh_options, "-p", str(self.node.ssh_port), destination, command]
        deadline = time.monotonic() + patience_s
        while True:
            ended = subprocess.run(
                words, capture_output=True, text=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL
            )
            if ended.returncode != 255 or not _NO_CONNECTION.search(ended.stderr) or time.monotonic() > deadline:
                return ended
            time.sleep(0.5)

    def reboot(self) -> None:
        """Reboot and return once the node has started everything, or failed to."""
        look = "cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestamp basic.target"
        before = self.ssh(look).stdout.split()
        self.ssh("sudo systemctl reboot")
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < deadline:
            now = self.ssh(look, patience_s=0).stdout.split()
            if len(now) > 1 and now[0] != before[0]:
                self.ssh("systemctl is-system-running --wait")
                return
            time.sleep(0.2)
        raise TimeoutError("the node did not come back")


@contextmanager
def booted(
    directory: Path, name: str, *, hardware_profile: str = "h100-sxm5-x8", size_gib: int = 1
) -> Iterator[Reached]:
    """Boot a node with nothing on it and a blank volume, and delete both at the end.

    Args:
        directory: For keys, variables and the cloud's account.
        name: Of the node and its volume.
        hardware_profile: What its driver packages replay.
        size_gib: Of the volume.
    """
    _, client = make_key(directory / "key")
    host_private, host = make_key(directory / "host")
    cloud = LocalCloud(LocalAccount(directory=str(directory / "account")))
    volume = cloud.create_volume(VolumeRequest(name=name, size_gib=size_gib))
    node = cloud.create_node(
        NodeRequest(
            name=name,
            shape="local",
            volume_id=volume.volume_id,
            ssh_public_key=client,
            ssh_host_private_key=SecretStr(host_private),
            hardware_profile=hardware_profile,
        ),
        lambda line: None,
    )
    try:
        node = _running(cloud, node)
        (directory / "known_hosts").write_text(f"{node.address} {host}\n[{node.address}]:{node.ssh_port} {host}\n")
        reached = Reached(node, directory)
        reached.ssh("cloud-init status --wait")
        yield reached
    finally:
        cloud.delete_node(node.node_id)
        cloud.delete_volume(volume.volume_id)


def _running(cloud: LocalCloud, node: Node) -> Node:
    deadline = time.monotonic() + BOOT_PATIENCE_S
    while node.status is not NodeStatus.RUNNING:
        assert time.monotonic() < deadline, "the node does not answer"
        time.sleep(0.2)
        seen = cloud.read_node(node.node_id)
        assert seen is not None
        node = seen
    return node


def make_key(path: Path) -> tuple[str, str]:
    """Make a key pair, leave the private half in a file, return both."""
    key = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.touch(0o600)
    path.write_text(private)
    return private, public.decode()
