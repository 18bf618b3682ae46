"""`nodestack verify`: what is printed of a node's gates, and with which exit code it ends."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nodestack.errors import ProvisioningError, ReachError
from nodestack.provisioning import reach
from nodestack.provisioning.report import NodeStatusReport
from tests.commands.configured import OUTPUTS, Played, status
from tests.commands.runs import inside

GOOD = {"check": "count", "expected": 8, "seen": 8, "pass": True}
SERVED = {
    "check": "served model",
    "expected": "tiny",
    "seen": "other",
    "pass": False,
    "remedy": "run up",
    "seconds": 0.2,
}
FABRIC = {"pass": True, "checks": [GOOD]}
SMOKE = {
    "pass": True,
    "kind": "chat",
    "checks": [{**SERVED, "pass": True, "remedy": ""}],
    "completion": "",
    "seconds": 1,
}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    return Played(monkeypatch, tmp_path, OUTPUTS)


def fails(played: Played, monkeypatch: pytest.MonkeyPatch, role: str, **results: Any) -> None:
    """Have a gate fail, and the node say what these results are."""

    def answer() -> NodeStatusReport:
        raise ProvisioningError(f"{role}: it is not well", role=role)

    @contextmanager
    def session(connection: object) -> Any:
        yield None

    played.answer = answer
    monkeypatch.setattr(reach, "session", session)
    monkeypatch.setattr(reach, "required_status", lambda opened, timeout_s: status(**results))


def test_gates_that_pass_are_a_table_and_exit_code_0(played: Played) -> None:
    played.answer = lambda: status(fabric=FABRIC, smoke=SMOKE)
    run = inside("verify")
    assert run.returncode == 0
    assert "every check passed" in run.stdout
    assert "fabric: 1 of 1 check passed; smoke: 1 of 1 check passed" in run.stdout
    assert max(len(line) for line in run.stdout.splitlines()) <= 100
    assert played.asked[0]["playbook"] == "verify.yml"


def test_a_check_that_fails_is_named_with_what_to_do_and_exit_code_1(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(played, monkeypatch, "smoke", fabric=FABRIC, smoke={**SMOKE, "pass": False, "checks": [SERVED]})
    run = inside("verify")
    assert run.returncode == 1
    assert "smoke: it is not well" in run.stdout
    assert "served model: run up" in run.stdout
    told = json.loads(inside("verify", "--json").stdout)
    assert (told["stack"], told["node"], told["passed"], told["problem"]) == (
        "local", "node-1", False, "smoke: it is not well",
    )  # fmt: skip
    assert told["gates"][1]["checks"] == [
        {
            "check": "served model",
            "expected": "tiny",
            "seen": "other",
            "passed": False,
            "remedy": "run up",
            "seconds": 0.2,
        }
    ]


def test_a_gate_that_was_not_reached_shows_no_older_verdict(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(played, monkeypatch, "fabric", fabric={**FABRIC, "pass": False}, smoke=SMOKE)
    told = json.loads(inside("verify", "--json").stdout)
    assert told["gates"][1] == {"gate": "smoke", "ran": False, "checks": []}


def test_what_keeps_the_gates_from_running_is_one_line(played: Played) -> None:
    def answer() -> NodeStatusReport:
        raise ReachError("127.0.0.1 does not answer over SSH as ubuntu")

    played.answer = answer
    run = inside("verify", "--json")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1] == "error: 127.0.0.1 does not answer over SSH as ubuntu"


def test_a_stack_without_a_node_is_refused(played: Played) -> None:
    run = inside("verify", "-s", "production")
    assert (run.returncode, run.stdout) == (1, "")
    assert "stack production has no configured node: run up first" in run.stderr
    assert played.asked == []
