"""A stack's configured node for tests of commands: what a state would say, and a playbook that only answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodestack.automation import configured
from nodestack.errors import NodestackError
from nodestack.plugin.resources.configuration_contract import ConfigurationArgs, ConfigurationOutputs
from nodestack.provisioning import playbook
from nodestack.provisioning.playbook import Provisioned
from nodestack.provisioning.report import NodeStatusReport
from tests.plugin import inputs

MACHINE = {
    "nodeId": "node-1",
    "identity": "node-1/nonce",
    "address": "127.0.0.1",
    "sshPort": 22,
    "sshUser": "ubuntu",
    "sshHostPublicKey": "ssh-ed25519 AAAA",
    "volumeDevice": "/dev/vdb",
}
OUTPUTS = {
    "capacity": {"profile": "reasoning", "max_model_len": 1024, "max_num_seqs": 4, "trace_length_p95": None},
    "node": {"cloud": "local", "usd_per_hour": None},
    "cost": {"usd_per_hour": 0, "basis": "free: nobody bills for it"},
}

RECORD: dict[str, Any] = {
    "kind": "measured",
    "at": "2026-11-27T09:00:00Z",
    "engine_version": "0.23.0",
    "engine_build": "cuda",
    "model": "trinity-large-thinking",
    "commit": "c" * 40,
    "options_sha256": "0" * 64,
    "hardware": "4x NVIDIA H200",
    "through": "gateway",
    "shape": {"prompt_tokens": 1024, "output_tokens": 8192, "requests": 128, "concurrency": 64},
    "figures": {
        "output_tokens_per_second": 250.0,
        "ttft_p50_ms": 800.0,
        "ttft_p99_ms": 2000.0,
        "inter_token_p50_ms": 40.0,
        "inter_token_p99_ms": 90.0,
        "seconds": 4000.0,
        "output_tokens": 1048576.0,
    },
    "usd_per_hour": 14.8,
    "usd_per_million_output_tokens": 16.4444,
    "usd_basis": "what spheron bills for the node",
    "lengths": {
        "requests": 0, "own_requests": 0, "prompt_tokens_p95": None, "generated_tokens_p95": None, "cut_share": None,
        "suggested_max_model_len": None, "arithmetic": "0 requests of clients since the engine's start",
    },
    "compared_with": "2026-11-26T09:00:00Z",
    "regressions": [],
    "is_baseline": True,
    "file": "/srv/nodestack/bench/20261127T090000Z.json",
}  # fmt: skip
"""What a node has of a measurement."""


def status(**results: Any) -> NodeStatusReport:
    """Return what a node says of itself that has these results."""
    return NodeStatusReport.model_validate(
        {"identity": "node-1/nonce", "applied": None, "service": "active", "weights": None, "results": results}
    )


class Played:
    """What a command had played, in place of Ansible.

    Attributes:
        asked: What each run was given, by name.
        answer: Returns the node's status after a run, or raises what ended it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, outputs: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], NodeStatusReport] = status
        found = configured.Configured(
            args=ConfigurationArgs.model_validate(inputs.configuration(directory, MACHINE)),
            recorded=ConfigurationOutputs(document_sha256="d0"),
            outputs=outputs,
        )
        monkeypatch.setattr(configured, "find", lambda checkout, stack: self._found(stack, found))
        monkeypatch.setattr(playbook, "apply", self._apply)

    def _found(self, stack: str, found: configured.Configured) -> configured.Configured:
        if stack != "local":
            raise NodestackError(f"stack {stack} has no configured node: run up first")
        return found

    def _apply(self, connection: Any, document: Any, secrets: Any, **how: Any) -> Provisioned:
        self.asked.append(how)
        return Provisioned(status=self.answer(), phases={}, recap={})
