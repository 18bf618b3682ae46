"""A real local node for tests of roles: all of site.yml is played on it, or single roles of it, as `make up` does."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from nodestack.catalog import load
from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, VolumeRequest
from nodestack.clouds.local import LocalCloud
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan
from nodestack.provisioning import authority
from nodestack.provisioning.document import NodeDocument, document_sha256
from nodestack.provisioning.workspace import PLAYBOOKS, Secrets
from nodestack.settings import parse
from tests.stacks import config

BOOT_PATIENCE_S = 120.0
API_KEY = "sk-of-a-bench-0123456789"
HUB_TOKEN = "hf_of-a-bench-0123456789"  # noqa: S105 - the hub of a bench asks for none
APPLIED = "/var/lib/nodestack/applied.json"


@dataclass(frozen=True)
class Play:
    """What a run came to.

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
class Bench:
    """A node, the way to it, and what it is to be.

    Attributes:
        node: The node.
        directory: Of keys and variables.
        sections: The sections of the local stack's settings, as they differ from its template.
    """

    node: Node
    directory: Path
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def ssh_options(self) -> list[str]:
        """What makes ssh take this node's keys and no other."""
        return [
            *("-i", f"{self.directory}/key", "-o", f'UserKnownHostsFile="{self.directory}/known_hosts"'),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-F", "none"),
        ]

    def on(self, command: str, timeout_s: float = 300) -> str:
        """Return what a command of root's prints on the node, whatever it ends with; errors are among it."""
        destination = f"{self.node.ssh_user}@{self.node.address}"
        words = ["-p", str(self.node.ssh_port), destination, f"sudo sh -c {shlex.quote(command)}"]
        ended = subprocess.run(
            ["ssh", *self.ssh_options, *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return ended.stdout.strip()

    def put(self, path: str, content: str) -> None:
        """Write a file on the node, for root alone."""
        self.on(f"umask 077; printf %s {shlex.quote(content)} > {shlex.quote(path)}")

    def result(self, name: str) -> dict[str, Any]:
        """Return a verdict as the node has it."""
        content: dict[str, Any] = json.loads(self.on(f"cat /var/lib/nodestack/results/{name}.json"))
        return content

    def document(self, **changes: object) -> NodeDocument:
        """Return the local stack's document for this node, with changed fields."""
        settings, catalog = parse(config(**self.sections)), load()
        files = {
            "gateway_keys_file": json.dumps({"default": API_KEY}),
            "gateway_issuer_file": self.secrets().issuer.get_secret_value(),
            "weights_token_file": HUB_TOKEN,
        }
        for name, text in files.items():
            (self.directory / name).write_text(text)
        planned = node_document(settings, make_plan(settings.request, catalog), catalog)
        machine = {
            "base_identity": self.node.identity,
            "storage_device": "/dev/vdb",
            "storage_volume_handle": "",
            "weights_expected_manifest_sha256": "",
            "gateway_address": self.node.address,
            "monitoring_receiver_secret_file": "",
            **{name: str(self.directory / name) for name in files},
        }
        return NodeDocument(**(planned | machine | changes))

    def secrets(self) -> Secrets:
        """Return what this node needs to know and nobody else may read."""
        issuer = authority.issuer((self.directory / "key").read_text(), self.node.identity, [self.node.address])
        return Secrets(
            api_keys={"default": SecretStr(API_KEY)}, issuer=SecretStr(issuer), hub_token=SecretStr(HUB_TOKEN)
        )

    def play(
        self,
        *roles: str,
        playbook: str = "site.yml",
        check: bool = False,
        more: Sequence[str] = (),
        variables: dict[str, object] | None = None,
        **changes: object,
    ) -> Play:
        """Play all roles or those named, as they are in the playbook.

        Args:
            roles: Their names; none for all.
            playbook: One of ours.
            check: Only say what would change, with the differences.
            more: Arguments of ansible-playbook.
            variables: Of roles, beyond the document.
            changes: Fields of the document.
        """
        command = self.command(*roles, playbook=playbook, check=check, variables=variables, **changes)
        ended = subprocess.run(
            [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env=self.environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        with (self.directory / "plays.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(map(str, command))}\n{ended.stdout}")
        return Play(ended.returncode, ended.stdout)

    def command(
        self,
        *roles: str,
        playbook: str = "site.yml",
        check: bool = False,
        variables: dict[str, object] | None = None,
        **changes: object,
    ) -> list[str | Path]:
        """Return the command of `play`, for whoever has to do something while it runs."""
        document = self.document(**changes)
        wanted = {"identity": document.base_identity, "document_sha256": document_sha256(document)}
        applied = self.on(f"cat {APPLIED} 2>/dev/null")
        content = document.model_dump(mode="json") | {
            "nodestack_document_sha256": wanted["document_sha256"],
            "nodestack_is_applied": applied.startswith("{") and json.loads(applied) == wanted,
            "ansible_host": self.node.address,
            "ansible_port": self.node.ssh_port,
            "ansible_user": self.node.ssh_user,
            "ansible_ssh_private_key_file": f"{self.directory}/key",
            "ansible_ssh_common_args": f"-F none -o 'UserKnownHostsFile=\"{self.directory}/known_hosts\"'",
        }
        path = self.directory / "variables.json"
        path.write_text(json.dumps(content | (variables or {})))
        command: list[str | Path] = [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            f"{self.node.address},",
            "-e",
            f"@{path}",
        ]
        command += ["--tags", ",".join(roles)] if roles else []
        command += ["--check", "--diff"] if check else []
        return [*command, PLAYBOOKS / playbook]

    def environment(self) -> dict[str, str]:
        """Return what Ansible runs with."""
        return {**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_SSH_RETRIES": "5"}

    def reboot(self) -> None:
        """Reboot and return once the node has started everything, or failed to."""
        look = "cat /proc/sys/kernel/random/boot_id; systemctl show -P ActiveEnterTimestamp basic.target"
        before = self.on(look)
        self.on("systemctl reboot")
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < deadline:
            now = self.on(look)
            if "\n" in now and now != before and "refused" not in now and "closed" not in now:
                return
            time.sleep(0.5)
        raise TimeoutError("the node did not come back")


@contextmanager
def opened(
    directory: Path,
    name: str,
    *,
    hardware_profile: str = "h100-sxm5-x8",
    size_gib: int = 16,
    **sections: dict[str, Any],
) -> Iterator[Bench]:
    """Boot a node with nothing on it, and delete it and its volume at the end.

    Args:
        directory: For keys, variables and the cloud's account.
        name: Of the node and its volume.
        hardware_profile: What its driver packages replay.
        size_gib: Of the volume.
        sections: Of the local stack's settings, as they differ from its template.
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
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while node.status is not NodeStatus.RUNNING:
            assert time.monotonic() < deadline, "the node does not answer"
            time.sleep(0.2)
            seen = cloud.read_node(node.node_id)
            assert seen is not None
            node = seen
        (directory / "known_hosts").write_text(f"{node.address} {host}\n[{node.address}]:{node.ssh_port} {host}\n")
        bench = Bench(node, directory, sections)
        bench.on("cloud-init status --wait")
        yield bench
    finally:
        cloud.delete_node(node.node_id)
        cloud.delete_volume(volume.volume_id)


def make_key(path: Path) -> tuple[str, str]:
    """Make a key pair, leave the private half in a file, return both."""
    key = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.touch(0o600)
    path.write_text(private)
    return private, public.decode()
