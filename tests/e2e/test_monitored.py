"""A stack that is watched: real vLLM under pressure is told of, and a dashboard's queries find it."""

import concurrent.futures
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from nodestack.clouds.base import Node
from nodestack.provisioning import keys
from tests.drills import DIRECTORY as DRILLS
from tests.e2e.project import NODE, ROOT, Project
from tests.playbooks.monitoring import dashboard
from tests.playbooks.monitoring.conftest import Watched
from tests.playbooks.roles_bench import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(1800)]

SEQUENCES = 16
# The engine wants room for one request of full length to start, about 42 blocks: far fewer than 16 of them take.
BLOCKS = 100
CLIENTS = 24
MOST_REPLIES = 40
"""Of each client, should nothing end it before."""
TOKENS = 900


@pytest.fixture(scope="module")
def watched(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return a stack's node with short times, so that a drill need not last as long as an operator's patience."""
    assert project.make("init").status == 0
    project.configure("monitoring", enabled=True)
    options = project.section("serving")["options"] | {"num-gpu-blocks-override": BLOCKS}
    project.configure("serving", options=options, max_num_seqs=SEQUENCES)
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
def pressure(project: Project, watched: Watched) -> Iterator[Callable[[], set[int]]]:
    """Keep asking for more than the engine holds; yields what ends that and returns how long all replies were."""
    body = {
        "model": project.outputs()["served_model_name"],
        "prompt": "one two three",
        "max_tokens": TOKENS,
        "ignore_eos": True,
    }
    enough = threading.Event()

    with project.client() as client, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:

        def ask(_: int) -> list[int]:
            replies: list[int] = []
            while len(replies) < MOST_REPLIES and not enough.is_set():
                replies.append(client.post("/completions", json=body).json()["usage"]["completion_tokens"])
            return replies

        asked = pool.map(ask, range(CLIENTS))

        def end() -> set[int]:
            enough.set()
            return {tokens for replies in asked for tokens in replies}

        yield end
        enough.set()


def test_a_full_cache_waiting_requests_and_idle_gpus_are_told_of(watched: Watched, pressure: object) -> None:
    """Tokens are computed on the CPU: the simulated GPUs idle while requests wait, and that is told as well."""
    found = watched.until_firing("KvCacheAlmostFull", "RequestsWaiting", "GpuIdleUnderLoad")
    assert "EngineDown" not in found and "SeriesMissing" not in found
    (usage,) = watched.ask("max_over_time(vllm:kv_cache_usage_perc[30s])")
    assert float(usage["value"][1]) > 0.85


def test_every_panel_of_the_dashboard_has_data(watched: Watched, pressure: object, tmp_path: Path) -> None:
    (tmp_path / "engine.prom").write_text(watched.bench.on("curl -s http://127.0.0.1:8000/metrics"))
    empty = {query for query in dashboard.queries() if not watched.ask(query)}
    assert empty <= dashboard.may_be_empty(), empty


def test_the_panels_are_drawn_for_whoever_looks(watched: Watched, pressure: object) -> None:
    """It stays beside the drills' figures."""
    DRILLS.mkdir(parents=True, exist_ok=True)
    picture = DRILLS / "dashboard.png"
    with watched.tunnel(9090) as url:
        command = [sys.executable, "-m", "tests.playbooks.monitoring.picture", url, str(picture)]
        drawn = subprocess.run([*command, "--minutes", "4"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert picture.stat().st_size > 100_000


def test_it_ends_with_the_pressure_of_which_every_reply_was_whole(
    watched: Watched, pressure: Callable[[], set[int]]
) -> None:
    assert pressure() == {TOKENS}
    watched.until_quiet("KvCacheAlmostFull", "RequestsWaiting", "GpuIdleUnderLoad")
