"""A real local node on which single roles are played."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, VolumeRequest
from nodestack.clouds.local import LocalCloud, drivers, hardware

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
BOOT_PATIENCE_S = 240.0
DOCUMENT: dict[str, Any] = {
    "base_identity": "test",
    "nvidia_driver_version": "580.95.05",
    "nvidia_driver_minimum_version": "580",
    "nvidia_driver_fabric_manager": True,
    "nvidia_driver_repository_uri": "http://127.0.0.1:8091/apt",
    "nvidia_driver_repository_key_url": "http://127.0.0.1:8091/apt/key.asc",
    "nvidia_driver_switches_on_bus": True,
    "nvidia_driver_upgrade": True,
    "nvidia_driver_cuda_toolkit": False,
    "fabric_gpu_count": 8,
    "fabric_gpu_name": "NVIDIA H100 80GB HBM3",
    "fabric_gpu_memory_mib": 81559,
    "fabric_nvlinks_per_gpu": 18,
    "fabric_nvlink_speed_gb_s": 26.562,
    "fabric_nvswitch": True,
    "fabric_wait_s": 10,
    "fabric_gpu_mig": True,
    "fabric_sm_clock_mhz": 1980,
    "fabric_pcie_generation": 5,
    "fabric_pcie_width": 16,
    "fabric_busbw_gb_s": 0.0,
}
FOUR_H200: dict[str, Any] = {
    "fabric_gpu_count": 4,
    "fabric_gpu_name": "NVIDIA H200",
    "fabric_gpu_memory_mib": 143771,
}


@dataclass(frozen=True)
class Play:
    """What a run of roles came to."""

    exit_code: int
    text: str

    @property
    def changed(self) -> int:
        return int(self.text.rsplit("changed=", 1)[1].split()[0])


@dataclass(frozen=True)
class Bench:
    """A node and the way to it."""

    node: Node
    directory: Path

    @property
    def ssh_options(self) -> str:
        return f"-o 'UserKnownHostsFile=\"{self.directory}/known_hosts\"'"

    def on(self, command: str, timeout_s: float = 120) -> str:
        """Return what a command on the node prints, whatever it ends with."""
        options = [
            *("-i", f"{self.directory}/key", "-o", f'UserKnownHostsFile="{self.directory}/known_hosts"'),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-p", str(self.node.ssh_port)),
        ]
        ended = subprocess.run(
            ["ssh", *options, f"{self.node.ssh_user}@{self.node.address}", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        return ended.stdout.strip()

    def play(self, *roles: str, check: bool = False, **changes: object) -> Play:
        """Play roles with the document, changed as said; in check mode nothing is to change."""
        playbook, variables = self.directory / "play.json", self.directory / "variables.json"
        facts = {"gather_subset": ["!all", "!min", "distribution"]}
        playbook.write_text(
            json.dumps([{"hosts": "all", "become": True, "roles": roles, **facts, "gather_facts": True}])
        )
        reach = {
            "ansible_port": self.node.ssh_port,
            "ansible_user": self.node.ssh_user,
            "ansible_ssh_private_key_file": f"{self.directory}/key",
            "ansible_ssh_common_args": self.ssh_options,
        }
        pinned = {"nvidia_driver_repository_key_fingerprint": fingerprint()}
        variables.write_text(json.dumps({**DOCUMENT, **pinned, **reach, **changes}))
        options = ["--check", "--diff"] if check else []
        program = Path(sys.executable).with_name("ansible-playbook")
        ended = subprocess.run(
            [program, "-i", f"{self.node.address},", "-e", f"@{variables}", *options, playbook],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_SSH_RETRIES": "5"},
        )
        return Play(ended.returncode, ended.stdout + ended.stderr)

    def record(self, profile: str) -> None:
        """Have other hardware from now on."""
        for path, content in hardware.files(profile).items():
            place = self.directory / Path(path).name
            place.write_bytes(content)
            self.on(f"sudo tee {path} >/dev/null <<'ENDS'\n{content.decode()}ENDS")

    def reboot(self) -> None:
        """Reboot and return once the node has started everything, or failed to."""
        before = self.on("cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestamp basic.target")
        self.on("sudo systemctl reboot")
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < deadline:
            now = self.on("cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestamp basic.target")
            if now not in ("", before):
                self.on("systemctl is-system-running --wait")
                return
            time.sleep(0.2)
        pytest.fail("the node did not come back")


@cache
def fingerprint() -> str:
    """Return the fingerprint of the stand-in repository's key."""
    with TemporaryDirectory() as home:
        command = ["gpg", "--homedir", home, "--no-keyring", "--with-colons", "--show-keys"]
        key = str(drivers.repository() / "key.asc")
        listed = subprocess.run([*command, key], capture_output=True, text=True, check=True).stdout
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


def _key(path: Path) -> tuple[str, str]:
    """Make a key pair, leave the private half in a file, return both."""
    key = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.touch(0o600)
    path.write_text(private)
    return private, public.decode()


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a node with eight H100 and no driver."""
    with booted(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@contextmanager
def booted(directory: Path, size_gib: int = 1) -> Iterator[Bench]:
    """Have a node with eight H100, no driver, and a blank volume of this size; its account is in the directory."""
    _, client = _key(directory / "key")
    host_private, host = _key(directory / "host")
    cloud = LocalCloud(LocalAccount(directory=str(directory / "account")))
    volume = cloud.create_volume(VolumeRequest(name="roles", size_gib=size_gib))
    node = cloud.create_node(
        NodeRequest(
            name="roles",
            shape="local",
            volume_id=volume.volume_id,
            ssh_public_key=client,
            ssh_host_private_key=SecretStr(host_private),
            hardware_profile="h100-sxm5-x8",
        ),
        lambda line: None,
    )
    try:
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while node.status is not NodeStatus.RUNNING:
            assert time.monotonic() < deadline, "the node does not answer"
            time.sleep(0.2)
            seen = cloud.read_node(node.node_id)
            assert seen is not None
            node = seen
        (directory / "known_hosts").write_text(f"{node.address} {host}\n")
        bench = Bench(node, directory)
        bench.on("cloud-init status --wait")
        yield bench
    finally:
        cloud.delete_node(node.node_id)
        cloud.delete_volume(volume.volume_id)
