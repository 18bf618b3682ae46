"""Each way a node may differ from what was made of it is a sentence of its own; a node that is well has none."""

from typing import Any

import pytest

from nodestack.plugin.resources.drift import drift
from nodestack.provisioning.report import NodeStatusReport

WELL: dict[str, Any] = {
    "identity": "id-1/nonce",
    "applied": {"identity": "id-1/nonce", "document_sha256": "d0"},
    "service": "active",
    "weights": {"commit": "a" * 40, "manifest_sha256": "m0", "changed": []},
    "gateway": {"service": "active", "changed": []},
    "results": {},
}


def found(status: dict[str, Any] | None, document_sha256: str = "d0", manifest_sha256: str = "m0") -> list[str]:
    report = None if status is None else NodeStatusReport.model_validate(status)
    return drift(report, identity="id-1/nonce", document_sha256=document_sha256, manifest_sha256=manifest_sha256)


def test_a_node_that_is_well_has_no_drift() -> None:
    assert found(WELL) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"service": "failed"}, "the service is failed"),
        ({"service": "missing"}, "the service is missing"),
        ({"identity": "id-2/nonce"}, "the node calls itself id-2/nonce, it was configured as id-1/nonce"),
        ({"identity": None}, "the node calls itself nothing yet, it was configured as id-1/nonce"),
        ({"applied": None}, "a configuration was begun and did not end"),
        ({"applied": {"identity": "id-1/nonce", "document_sha256": "d1"}}, "another configuration was applied since"),
        ({"weights": None}, "no weights are in place"),
        (
            {"weights": {"commit": "a" * 40, "manifest_sha256": "m1", "changed": []}},
            "the weights are others than those that were verified",
        ),
        (
            {"weights": {"commit": "a" * 40, "manifest_sha256": "m0", "changed": list("abcde")}},
            "weight files changed or are missing since they were verified: a, b, c and 2 more",
        ),
        ({"gateway": None}, "no gateway was brought up"),
        ({"gateway": {"service": "inactive", "changed": []}}, "the gateway is inactive"),
        (
            {"gateway": {"service": "active", "changed": ["/etc/nodestack/gateway/keys.conf"]}},
            "the gateway's files are not those that it runs with: /etc/nodestack/gateway/keys.conf",
        ),
        (
            {"results": {"fabric": {"pass": False, "checks": []}}},
            "the fabric check did not pass when it last ran",
        ),
    ],
)
def test_each_difference_is_told(change: dict[str, Any], sentence: str) -> None:
    assert found(WELL | change) == [sentence]


def probe(passed: bool) -> dict[str, Any]:
    check = {"check": "few tokens", "expected": "a reply", "seen": "HTTP 500", "pass": passed}
    common = {"kind": "chat", "completion": "", "seconds": 1, "at": "2026-11-27T09:00:00Z"}
    return {"probe": {"pass": passed, "checks": [check], **common}}


def test_a_failed_smoke_test_of_the_nodes_timer_is_told_once_the_service_runs() -> None:
    told = "the node's own smoke test failed at 2026-11-27T09:00:00Z, few tokens: expected a reply, seen HTTP 500"
    assert found(WELL | {"results": probe(False)}) == [told]
    assert found(WELL | {"results": probe(True)}) == []
    assert found(WELL | {"results": probe(False), "service": "failed"}) == ["the service is failed"]


def test_a_node_that_has_nothing_to_say_is_not_configured() -> None:
    assert found(None) == ["the node was not configured yet, or by another version of nodestack"]


def test_a_run_that_did_not_end_well_is_drift_though_the_node_shows_what_was_applied_before() -> None:
    assert found(WELL, document_sha256="", manifest_sha256="") == ["the last configuration did not end well"]
