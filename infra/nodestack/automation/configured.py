"""The machine that a stack's state says is configured: how it is reached, with which document and which secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine
from nodestack.clouds import open_account
from nodestack.clouds.accounts import log_directory
from nodestack.errors import NodestackError
from nodestack.plugin.resources import RESOURCES
from nodestack.plugin.resources.configuration_contract import ConfigurationArgs, ConfigurationOutputs
from nodestack.plugin.resources.machine import connection, node_secrets, require_machine, whole_document
from nodestack.provisioning.document import NodeDocument
from nodestack.provisioning.reach import Connection
from nodestack.provisioning.workspace import Secrets

_TOKEN = "nodestack:index:Configuration"  # noqa: S105 - a resource type, no secret
_STACK = "pulumi:pulumi:Stack"
_SECRET_KEY = "4dabf18193072939515e22adb298388d"  # noqa: S105 - how the engine marks a secret in a state, no secret


@dataclass(frozen=True)
class Configured:
    """What `up` applied to a machine last.

    Attributes:
        args: The configuration's inputs.
        recorded: What was proved about it then.
        outputs: The stack's outputs of that time.
    """

    args: ConfigurationArgs
    recorded: ConfigurationOutputs
    outputs: Mapping[str, Any]

    @property
    def connection(self) -> Connection:
        """How the machine is reached, with the one host key that is accepted."""
        return connection(self.args)

    @property
    def document(self) -> NodeDocument:
        """What was applied to it."""
        return whole_document(self.args, self.recorded)

    @property
    def secrets(self) -> Secrets:
        """What the node needs to know and nobody else may read."""
        return node_secrets(self.args, self.document)

    @property
    def logs(self) -> Path:
        """Where what Ansible prints is kept."""
        return log_directory(self.args.account)


def find(checkout: Checkout, stack: str) -> Configured:
    """Return a stack's configured machine, which its cloud still has.

    Raises:
        NodestackError: There is none, or its last configuration did not end well.
        CloudError: The machine is gone, or another one.
    """
    up = f"run up first (make up{'' if stack == 'local' else f' STACK={stack}'})"
    if not checkout.stack_file(stack).exists():
        raise NodestackError(f"there is no stack {stack!r}: no {checkout.stack_file(stack).name}; {up}")
    # In memory only: what is secret in it goes to the node as files of mode 0600, as with every run.
    exported = json.loads(Engine(checkout, stack).ask("stack", "export", "--show-secrets"))
    resources = (exported.get("deployment") or {}).get("resources") or []
    found = next((each for each in resources if each["type"] == _TOKEN), None)
    if found is None:
        raise NodestackError(f"stack {stack} has no configured node: {up}")
    root: dict[str, Any] = next((each for each in resources if each["type"] == _STACK), {})
    configuration = RESOURCES[_TOKEN]
    try:
        args = configuration.parse(_plain(found.get("inputs") or {}))
    except ValidationError:
        # Without its context: a validation error shows what it was given.
        raise NodestackError(f"stack {stack}'s node was configured by another version of nodestack: {up}") from None
    configured = Configured(
        args=args,
        recorded=configuration.parse_outputs(_plain(found.get("outputs") or {})),
        outputs=_plain(root.get("outputs") or {}),
    )
    require_machine(configured.args, open_account(configured.args.account))
    if not configured.recorded.document_sha256:
        raise NodestackError(f"the last configuration of stack {stack}'s node did not end well: {up}")
    return configured


def _plain(value: Any) -> Any:
    """Return what a state holds, with the text of its secrets in their place."""
    if isinstance(value, dict):
        if _SECRET_KEY in value:
            return json.loads(value["plaintext"])
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
