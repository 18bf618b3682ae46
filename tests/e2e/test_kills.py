"""Kill -9 of each process on the way to the node, at each stage: the next `up` ends with one node that serves."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.e2e import victims
from tests.e2e.project import NODE, STACK, Project

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.independent]

CONTROLLERS = ["engine", "language host", "program", "plugin"]
CASES = [
    *(("node", victim) for victim in [*CONTROLLERS, "all", "supervisor"]),
    *(("weights", victim) for victim in [*CONTROLLERS, "ansible", "all", "supervisor"]),
    *(("vllm", victim) for victim in [*CONTROLLERS, "ansible", "all", "supervisor"]),
]
PATIENCE_S = 300
# Slow enough that a kill strikes in the middle of a shard.
SLOW_SHARDS = {"path": "*.safetensors", "bytes_per_s": 400_000, "times": 1000}


@pytest.fixture(scope="module")
def stood_up(project: Project) -> Project:
    run = project.up()
    assert run.status == 0, run.text
    return project


def stage_reached(project: Project, stage: str, asked_before: int) -> Callable[[], bool]:
    return {
        "node": (project.account / "nodes" / NODE / "state.json").exists,
        "weights": lambda: bool(project.shard_bytes(asked_before)),
        "vllm": lambda: "vllm: starting the engine" in project.started_log(),
    }[stage]


def until(done: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert process.poll() is None, f"up ended before {what}"
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


def strike(project: Project, victim: str) -> None:
    if victim == "supervisor":
        os.kill(project.supervisor(), signal.SIGKILL)
        return
    killed = victims.kill([*CONTROLLERS, "ansible"] if victim == "all" else [victim], project.root)
    assert killed, f"no {victim} was running"


@pytest.mark.parametrize(("stage", "victim"), CASES)
def test_the_next_up_completes_after_a_kill(stood_up: Project, stage: str, victim: str) -> None:
    project = stood_up
    if stage == "weights" and project.nodes():
        project.node("systemctl stop nodestack-vllm; rm -rf /srv/nodestack/weights/*")
        project.inject(SLOW_SHARDS)
    assert project.make("down").status == 0
    asked = len(project.hub_requests())

    with project.start_up() as process:
        try:
            until(stage_reached(project, stage, asked), process, f"stage {stage}")
            strike(project, victim)
            process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    assert victims.gone(project.root, 15) == []

    run = project.up()
    assert run.status == 0, run.text
    assert "says:" in run.text
    assert project.outputs()["smoke"]["pass"]
    assert len(project.nodes()) == len(project.volumes()) == 1
    assert list((project.root / ".nodestack/backend/.pulumi/locks").rglob("*.json")) == []
    checkpoint = json.loads((project.root / f".nodestack/backend/.pulumi/stacks/nodestack/{STACK}.json").read_text())
    assert not checkpoint["checkpoint"]["latest"].get("pending_operations")
    assert victims.gone(project.root, 5) == []
