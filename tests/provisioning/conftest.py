"""A real node of the local cloud, for tests that must see playbooks act on one."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, VolumeRequest
from nodestack.clouds.local import LocalCloud
from nodestack.provisioning import keys, playbook, reach
from nodestack.provisioning.playbook import Provisioned, Secrets
from nodestack.provisioning.reach import Connection
from tests.provisioning.documents import node_document

PLAYBOOKS = Path(__file__).parent / "playbooks"
SECRETS = Secrets(
    api_keys={"default": SecretStr("sk-of-these-tests")},
    issuer=SecretStr("an issuer"),
    hub_token=SecretStr("hf_of_these_tests"),
)


@dataclass(frozen=True)
class LiveNode:
    """A node that answers, and what tests do with it."""

    node: Node
    connection: Connection
    logs: Path
    heard: list[str] = field(default_factory=list)

    def run(self, command: str) -> str:
        return reach.run(self.connection, command, 30).strip()

    def apply(
        self,
        name: str,
        *,
        cancelled: threading.Event | None = None,
        progress: Callable[[str], None] | None = None,
        lock_wait_s: float = 60,
        **changes: object,
    ) -> Provisioned:
        """Apply a playbook of these tests."""
        return playbook.apply(
            self.connection,
            node_document(**changes),
            SECRETS,
            log_directory=self.logs,
            progress=progress or self.heard.append,
            cancelled=cancelled or threading.Event(),
            playbook=PLAYBOOKS / name,
            lock_wait_s=lock_wait_s,
        )


@pytest.fixture(scope="module")
def live_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    directory = tmp_path_factory.mktemp("an account")
    cloud = LocalCloud(LocalAccount(directory=str(directory)))
    client = keys.generate()
    host_private, host_public = keys.host_key(client, "provisioned")
    volume = cloud.create_volume(VolumeRequest(name="provisioned", size_gib=1))
    request = NodeRequest(
        name="provisioned",
        shape="local",
        volume_id=volume.volume_id,
        ssh_public_key=keys.public_key(client),
        ssh_host_private_key=SecretStr(host_private),
    )
    node = cloud.create_node(request, lambda line: None)
    try:
        connection = Connection(
            address=node.address,
            port=node.ssh_port,
            user=node.ssh_user,
            host_public_key=host_public,
            private_key=SecretStr(client),
        )
        reach.wait_for_node(connection, timeout_s=120, progress=lambda line: None, cancelled=threading.Event())
        yield LiveNode(node, connection, directory / "logs of runs")
    finally:
        cloud.delete_node(node.node_id)
        cloud.delete_volume(volume.volume_id)
