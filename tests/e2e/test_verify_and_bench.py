"""A node in service, on real vLLM: verified at any time, watched by its own timer, and measured, in this order."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.project import NODE, Project

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(1800)]

LOAD = "--prompt-tokens 32 --output-tokens 48 --requests 8 --concurrency 4"
REGRESSION = 3
# What a quota of a fifth of the CPU does, for as long as a measurement takes and for ten minutes at most: limits of
# control groups are not enforced on a local node. No variables: a shell before the node's own would fill them in.
QUOTA = (
    "rm -f /run/unthrottled; seq 2000 | while read turn && [ ! -e /run/unthrottled ]; do "
    "systemctl kill --signal=STOP nodestack-vllm; sleep 0.2; systemctl kill --signal=CONT nodestack-vllm; sleep 0.05; "
    "done"
)


def nodestack(project: Project, command: str) -> tuple[int, dict[str, Any], str]:
    """Run a command with --json; return its exit code, what it printed, and what it said."""
    run = project.shell(f".venv/bin/nodestack {command} --json 2>said.log")
    said = (project.root / "said.log").read_text(encoding="utf-8")
    return run.status, json.loads(run.text) if run.text.strip() else {}, said


def identity(project: Project) -> str:
    return str(json.loads((project.account / "nodes" / NODE / "node.json").read_text())["identity"])


def ask(project: Project, requests: int) -> None:
    """Have clients ask for short completions, a few side by side."""
    with project.client() as client, ThreadPoolExecutor(4) as clients:

        def one(number: int) -> int:
            asked = {"prompt": f"number {number} is", "max_tokens": 15, "ignore_eos": True}
            return client.post("/completions", json={"model": "tiny-afmoe-thinking", **asked}).status_code

        assert set(clients.map(one, range(requests))) == {200}


def test_a_stack_without_a_node_has_nothing_to_verify_and_nothing_to_measure(project: Project) -> None:
    for command in ("verify", "bench"):
        status, told, said = nodestack(project, command)
        assert (status, told) == (1, {})
        assert "there is no stack 'local'" in said and "make up" in said


def test_every_gate_of_a_node_that_serves_passes(project: Project) -> None:
    up = project.up()
    assert up.status == 0, up.text
    status, told, said = nodestack(project, "verify")
    assert status == 0, said
    checks = {gate["gate"]: [check["check"] for check in gate["checks"] if check["passed"]] for gate in told["gates"]}
    assert {"reasoning apart from content", "streaming", "tool call", "JSON schema", "longest sequence"} <= set(
        checks["smoke"]
    )
    assert len(checks["smoke"]) == len(told["gates"][1]["checks"]) >= 11
    assert checks["fabric"]
    assert re.search(r"smoke: (\d+) of \1 checks passed", project.make("verify").text)


def test_ten_pairs_say_what_the_gateway_costs_before_a_real_engine(
    project: Project, record_property: Callable[[str, object], None]
) -> None:
    run = project.shell(".venv/bin/python -m benchmarks.gateway_vllm --pairs 10 --record ratios.json")
    assert run.status == 0, run.text
    for what in ("time to first token", "whole reply"):
        assert re.search(rf"^{what}: through the gateway [\d.]+ of direct, 95 % interval .*, 10 pairs$", run.text, re.M)
    for figure, value in json.loads((project.root / "ratios.json").read_text(encoding="utf-8")).items():
        record_property(figure, value)


def test_the_nodes_own_timer_asks_little_and_tells_the_monitoring(project: Project) -> None:
    assert "nodestack-smoke.timer" in project.node("systemctl list-timers --no-pager")
    project.node("systemctl start nodestack-smoke.service", 180)
    assert json.loads(project.node("cat /var/lib/nodestack/results/probe.json"))["pass"] is True
    assert "nodestack_smoke_pass 1" in project.node("cat /var/lib/nodestack/metrics/smoke.prom")


def test_a_failed_timer_is_drift_that_up_settles_without_another_node(project: Project) -> None:
    before = identity(project)
    # A key that the gateway does not know: each of its replies is a refusal.
    project.node("echo sk-not-a-key-of-this-gateway > /etc/nodestack/credentials/gateway_key")
    project.node("systemctl start nodestack-smoke.service || true", 180)
    assert "nodestack_smoke_pass 0" in project.node("cat /var/lib/nodestack/metrics/smoke.prom")
    up = project.up()
    assert up.status == 0, up.text
    assert identity(project) == before
    assert project.node("ls /var/lib/nodestack/results").split().count("probe.json") == 0
    again = project.up()
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", again.text), again.text


def test_a_service_that_does_not_answer_is_told_by_the_check(project: Project) -> None:
    project.node("systemctl stop nodestack-vllm", 120)
    status, told, _ = nodestack(project, "verify")
    assert status == 1
    assert "no reply" in told["problem"]
    assert [gate["ran"] for gate in told["gates"]] == [True, True]
    assert project.up().status == 0


def test_what_is_measured_is_an_output_after_the_next_up_and_no_change(project: Project) -> None:
    ask(project, 110)
    status, record, said = nodestack(project, f"bench {LOAD}")
    assert status == 0, said
    assert record["kind"] == "measured" and record["hardware"] == "CPU"
    assert record["figures"]["output_tokens"] == 8 * 48
    assert record["figures"]["output_tokens_per_second"] > 0
    assert record["figures"]["inter_token_p99_ms"] >= record["figures"]["inter_token_p50_ms"] > 0
    assert (record["usd_per_million_output_tokens"], record["usd_basis"][:5]) == (0, "free:")
    assert record["lengths"]["requests"] >= 110
    assert record["lengths"]["suggested_max_model_len"] == 1024, record["lengths"]["arithmetic"]
    assert project.outputs()["bench"]["kind"] == "none"
    up = project.up()
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", up.text), up.text
    outputs = project.outputs()
    assert outputs["bench"] == record
    assert outputs["cost"]["throughput_used"] is None, "what was measured is no assumption of the cost"
    assert json.loads(project.node(f"cat {record['file']}")) == record


def test_no_key_is_in_an_argument_or_environment_while_it_is_measured(project: Project) -> None:
    key = project.secret("api_key")
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(nodestack, project, f"bench {LOAD}")
        seen = ""
        while not running.done():
            seen += project.node("cat /proc/*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sort -u")
        assert running.result()[0] in (0, REGRESSION), running.result()[2]
    assert "bench-engine" in seen
    assert key not in seen
    assert key not in project.node("journalctl --no-pager -u nodestack-bench")


def test_a_slower_engine_is_told_as_a_regression(project: Project) -> None:
    with ThreadPoolExecutor(1) as beside:
        throttled = beside.submit(project.node, QUOTA, 900)
        status, record, said = nodestack(project, f"bench {LOAD}")
        project.node("touch /run/unthrottled")
        throttled.result()
    assert status == REGRESSION, said
    worse = {each["figure"]: each for each in record["regressions"]}
    assert "output_tokens_per_second" in worse
    assert worse["output_tokens_per_second"]["worse_by"] > worse["output_tokens_per_second"]["tolerance"] == 0.1
    assert record["is_baseline"] is False
    project.up()
    assert [each["figure"] for each in project.outputs()["bench"]["regressions"]] == list(worse)
