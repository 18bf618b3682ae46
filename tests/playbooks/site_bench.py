"""A real local node for tests of roles: all of site.yml is played on it, or single roles of it, as `make up` does."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nodestack.catalog import load
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan
from nodestack.provisioning import authority
from nodestack.provisioning.document import NodeDocument, document_sha256
from nodestack.provisioning.workspace import ANSIBLE, PLAYBOOKS, Secrets
from nodestack.settings import parse
from tests.playbooks.reached import Play, Reached, booted
from tests.stacks import config

API_KEY = "sk-of-a-bench-0123456789"
HUB_TOKEN = "hf_of-a-bench-0123456789"  # noqa: S105 - the hub of a bench asks for none
APPLIED = "/var/lib/nodestack/applied.json"


@dataclass
class Bench(Reached):
    """A node, the way to it, and what it is to be.

    Attributes:
        sections: The sections of the local stack's settings, as they differ from its template.
    """

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)

    def on(self, command: str, timeout_s: float = 300) -> str:
        """Return what a command of root's prints on the node, whatever it ends with; errors are among it."""
        return self.ssh(f"sudo sh -c {shlex.quote(command)} 2>&1", timeout_s).stdout.strip()

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
            **self.variables,
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
        return {**os.environ, **ANSIBLE, "ANSIBLE_SSH_RETRIES": "5"}


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
    with booted(directory, name, hardware_profile=hardware_profile, size_gib=size_gib) as reached:
        yield Bench(reached.node, directory, sections)
