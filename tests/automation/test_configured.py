"""Which machine a stack's state says is configured, and what is said where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nodestack.automation import configured
from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine
from nodestack.clouds.base import NodeRequest
from nodestack.errors import CloudError, NodestackError
from nodestack.provisioning import keys
from tests.lifecycle.memory_cloud import MemoryCloud
from tests.plugin import inputs

MARK = "4dabf18193072939515e22adb298388d"
MANIFEST = "e" * 64


def secret(text: str | dict[str, str]) -> dict[str, str]:
    """Return a secret as `pulumi stack export --show-secrets` has it."""
    return {MARK: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(text)}


class State:
    """A stack's state with one configured machine, which a cloud in memory has."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checkout = Checkout(root)
        self.checkout.stack_file("local").parent.mkdir()
        self.checkout.stack_file("local").write_text("config: {}\n")
        self.cloud = MemoryCloud(address=("127.0.0.1", 22))
        made = self.cloud.create_node(
            NodeRequest(name="web", shape="s", volume_id="v", ssh_public_key="k", ssh_host_private_key=SecretStr("k")),
            lambda line: None,
        )
        node = self.cloud.read_node(made.node_id)
        assert node is not None
        machine = {
            "nodeId": node.node_id,
            "identity": node.identity,
            "address": node.address,
            "sshPort": node.ssh_port,
            "sshUser": "ubuntu",
            "sshHostPublicKey": keys.host_key(inputs.PRIVATE_KEY, "web")[1],
            "volumeDevice": "/dev/vdb",
        }
        asked = inputs.configuration(root, machine)
        keys_by_name = {name: key.get_secret_value() for name, key in asked["apiKeys"].items()}
        asked |= {"apiKeys": secret(keys_by_name), "sshPrivateKey": secret(asked["sshPrivateKey"].get_secret_value())}
        self.configuration: dict[str, Any] = {
            "type": "nodestack:index:Configuration",
            "inputs": asked,
            "outputs": {**asked, "documentSha256": "d0", "manifestSha256": MANIFEST, "drift": []},
        }
        self.resources = [{"type": "pulumi:pulumi:Stack", "outputs": {"cost": {"x": 1}}}, self.configuration]
        self.asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(Engine, "ask", lambda engine, *arguments: self._export(arguments))
        monkeypatch.setattr(configured, "open_account", lambda account: self.cloud)

    def _export(self, arguments: tuple[str, ...]) -> str:
        self.asked.append(arguments)
        return json.dumps({"deployment": {"resources": self.resources}})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    return State(tmp_path, monkeypatch)


def test_a_configured_machine_is_found_with_its_pinned_key_and_its_secrets(state: State) -> None:
    found = configured.find(state.checkout, "local")
    assert found.connection.host_public_key == keys.host_key(inputs.PRIVATE_KEY, "web")[1]
    assert found.connection.private_key.get_secret_value() == inputs.PRIVATE_KEY
    assert found.secrets.api_keys["default"].get_secret_value() not in repr(found)
    assert found.document.base_identity == found.args.identity
    assert found.outputs == {"cost": {"x": 1}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.checkout.stack_file("local").unlink(), "there is no stack 'local': no Pulumi.local.yaml"),
        (lambda state: state.resources.clear(), "stack local has no configured node: run up first"),
        (lambda state: state.configuration["inputs"].pop("document"), "was configured by another version of nodestack"),
        (lambda state: state.configuration["outputs"].update(documentSha256=""), "did not end well: run up first"),
    ],
)
def test_what_cannot_be_asked_says_so(state: State, change: Any, said: str) -> None:
    change(state)
    with pytest.raises(NodestackError, match=said) as refused:
        configured.find(state.checkout, "local")
    assert "sk-" not in str(refused.value)


def test_a_machine_that_is_gone_or_another_one_is_not_touched(state: State) -> None:
    state.configuration["inputs"]["identity"] = "another"
    with pytest.raises(CloudError, match="is another machine"):
        configured.find(state.checkout, "local")
    state.cloud.delete_node(state.configuration["inputs"]["nodeId"])
    with pytest.raises(CloudError, match="is gone"):
        configured.find(state.checkout, "local")
