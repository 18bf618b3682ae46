"""A stack that is watched: real vLLM under pressure is told of, and a dashboard's queries find it."""

import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from nodestack.clouds.base import Node
from nodestack.provisioning import keys
from tests.e2e.project import NODE, ROOT, Project
from tests.playbooks.monitoring import dashboard
from tests.playbooks.monitoring.conftest import Watched
from tests.playbooks.roles_bench import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(1800)]

SEQUENCES = 4
# Two to three sequences of full length fill it, and four compute at once; the engine wants room for one to start.
BLOCKS = 100
LOAD = {"requests": 24, "tokens": 900}


@pytest.fixture(scope="module")
def watched(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return a stack's node with short times, so that a drill need not last as long as an operator's patience."""
    assert project.make("init").status == 0
    project.configure("monitoring", enabled=True)
    options = project.section("serving")["options"]
    project.configure("serving", options={**options, "num-gpu-blocks-override": BLOCKS})
    run = project.up()
    assert run.status == 0, run.text
    directory = tmp_path_factory.mktemp("reach")
    private = project.secret("ssh_private_key") + "\n"
    (directory / "key").touch(0o600)
    (directory / "key").write_text(private)
    state = json.loads((project.account / "nodes" / NODE / "state.json").read_text())
    (directory / "known_hosts").write_text(f"{state['address']} {keys.host_key(private, NODE)[1]}\n")
    node = SimpleNamespace(address=state["address"], ssh_port=state["ssh_port"], ssh_user="ubuntu")
    one = Watched(Bench(cast(Node, node), directory))
    played = one.play()
    assert played.exit_code == 0, played.text
    return one


@pytest.fixture(scope="module")
def pressure(project: Project, watched: Watched) -> Iterator[None]:
    """Ask for more than the engine holds; what was asked ends by itself."""
    body = {
        "model": project.outputs()["served_model_name"],
        "prompt": "one two three",
        "max_tokens": LOAD["tokens"],
        "ignore_eos": True,
    }

    with project.client() as client, concurrent.futures.ThreadPoolExecutor(LOAD["requests"]) as pool:

        def ask(_: int) -> int:
            return int(client.post("/completions", json=body).json()["usage"]["completion_tokens"])

        asked = pool.map(ask, range(LOAD["requests"]))
        yield
        assert all(tokens == LOAD["tokens"] for tokens in asked)


def test_a_full_cache_waiting_requests_and_idle_gpus_are_told_of(watched: Watched, pressure: None) -> None:
    """Tokens are computed on the CPU: the simulated GPUs idle while requests wait, and that is told as well."""
    found = watched.until_firing("KvCacheAlmostFull", "RequestsWaiting", "GpuIdleUnderLoad")
    assert "EngineDown" not in found and "SeriesMissing" not in found
    (usage,) = watched.ask("max(vllm:kv_cache_usage_perc)")
    assert float(usage["value"][1]) > 0.85


def test_every_panel_of_the_dashboard_has_data(watched: Watched, pressure: None, tmp_path: Path) -> None:
    (tmp_path / "engine.prom").write_text(watched.bench.on("curl -s http://127.0.0.1:8000/metrics"))
    empty = {query for query in dashboard.queries() if not watched.ask(query)}
    assert empty <= dashboard.may_be_empty(), empty


def test_the_panels_are_drawn_for_whoever_looks(watched: Watched, pressure: None, tmp_path: Path) -> None:
    with watched.tunnel(9090) as url:
        command = [sys.executable, "-m", "tests.playbooks.monitoring.picture", url, str(tmp_path / "dashboard.png")]
        drawn = subprocess.run([*command, "--minutes", "4"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "dashboard.png").stat().st_size > 100_000


def test_it_ends_with_the_pressure(watched: Watched) -> None:
    watched.until_quiet("KvCacheAlmostFull", "RequestsWaiting", "GpuIdleUnderLoad")
