"""Two runs of one stack at once at a paid cloud: one wins, the other says so, and one node is bought."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clouds.markets import Market, open_market
from tests.plugin.engine import ROOT
from tests.plugin.trial import PROGRAM, Trial

pytestmark = [pytest.mark.e2e, pytest.mark.independent]

BOUGHT = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}
BOOT_S = 3600
"""By the cloud's clock, which is moved on once the second run has ended."""
PATIENCE_S = 240


@pytest.fixture
def market() -> Iterator[Market]:
    with open_market("spheron", answering=True) as opened:
        opened.world.rules = opened.world.rules.model_copy(update={"boot_s": BOOT_S})
        yield opened


def test_of_two_ups_begun_at_one_moment_one_wins_and_the_other_says_so(market: Market, tmp_path: Path) -> None:
    _checkout_at(tmp_path, market)
    runs = [_begin(tmp_path) for _ in range(2)]
    _until(lambda: any(run.poll() is not None for run in runs) and bool(market.count("ordering the node")))
    market.world.advance(BOOT_S)
    texts = [run.communicate(timeout=PATIENCE_S)[0] for run in runs]
    losers = [text for text in texts if "the stack is locked by process" in text]
    assert len(losers) == 1, texts
    assert losers[0].strip().count("\n") == 0, "one line"
    assert "nothing was changed and nothing bought" in losers[0]
    (winner,) = [text for text in texts if text not in losers]
    assert "+ 3 created" in winner, winner
    _require_one(market)


def test_the_engines_own_lock_keeps_a_second_engine_out(market: Market, tmp_path: Path) -> None:
    trial = Trial(tmp_path, market.account)
    trial.want(bought=BOUGHT)
    with trial.start() as first:
        _until(lambda: bool(market.count("ordering the node")) or first.poll() is not None)
        second = trial.run("up", "--yes", "--skip-preview")
        market.world.advance(BOOT_S)
        text, _ = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0, text
    assert second.status != 0
    assert "the stack is currently locked by 1 lock" in second.text
    _require_one(market)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _require_one(market: Market) -> None:
    report = market.world.report()
    assert (report.orders, report.alive, report.volumes) == ({"web": 1}, ("web",), ("weights",))
    assert (market.count("ordering the node"), market.count("making the volume")) == (1, 1)


def _checkout_at(root: Path, market: Market) -> None:
    """Make a checkout whose program is a volume and a node, for the project's own command line."""
    for name in ("program", "stacks", ".nodestack"):
        (root / name).mkdir()
    python = {"name": "python", "options": {"virtualenv": sys.prefix}}
    project: dict[str, Any] = {"name": "nodestack", "runtime": python, "main": "program", "stackConfigDir": "stacks"}
    project["plugins"] = {"providers": [{"name": "nodestack", "path": str(ROOT / "infra" / "provider")}]}
    (root / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    (root / "program" / "__main__.py").write_text(PROGRAM)
    wanted = {"account": market.account, "bought": BOUGHT, "size_gib": 1, "node": True, "shape": "local", "suffix": ""}
    (root / "program" / "wanted.json").write_text(json.dumps(wanted))
    (root / "stacks" / "Pulumi.trial.yaml").write_text(yaml.safe_dump({"config": {"nodestack:cloud": market.account}}))
    shutil.copy(ROOT / ".nodestack" / "engine.json", root / ".nodestack")


def _begin(root: Path) -> subprocess.Popen[str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("PULUMI_")}
    return subprocess.Popen(
        [sys.executable, "-m", "nodestack.cli", "up", "-s", "trial"],
        cwd=root,
        env=inherited | {"PYTHONPATH": str(ROOT / "infra")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
