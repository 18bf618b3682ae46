"""The program itself on a paid cloud: a preview buys nothing, asks for a price once, and says whose price it shows."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.clouds.simulated.spheron import API_KEY
from tests.clouds.spheron.bench import Spheron, spheron_account
from tests.plugin.engine import ROOT
from tests.plugin.trial import Trial

pytestmark = pytest.mark.e2e


@dataclass
class Program:
    """The project's own program in a stack on a simulated Spheron."""

    trial: Trial
    sim: Spheron

    def preview(self, **node: Any) -> str:
        """Return what a preview says, with changes to the stack's node."""
        file = self.trial.directory / "Pulumi.trial.yaml"
        before = file.read_text()
        document = yaml.safe_load(before)
        document["config"]["nodestack:node"] |= node
        file.write_text(yaml.safe_dump(document))
        try:
            run = self.trial.run("preview", "--diff")
        finally:
            file.write_text(before)
        assert run.status == 0, run.text
        return run.text


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with spheron_account() as sim:
        trial = Trial(tmp_path_factory.mktemp("a trial"))
        _become_the_program(trial.directory, sim.base_url)
        yield Program(trial, sim)


def _become_the_program(directory: Path, base_url: str) -> None:
    shutil.rmtree(directory / "program")
    (directory / "program").symlink_to(ROOT / "infra")
    template = yaml.safe_load((ROOT / "stacks" / "templates" / "spheron-sim.yaml").read_text())
    file = directory / "Pulumi.trial.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"] = template["config"] | document["config"]
    document["config"]["nodestack:cloud"] = {"kind": "spheron", "base_url": base_url}
    file.write_text(yaml.safe_dump(document))


def test_with_a_key_the_price_is_the_clouds_and_asked_for_once(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPHERON_API_KEY", API_KEY)
    text = program.preview(market="spot", max_usd_per_hour=20)
    assert "8.40 USD/h spot" in text
    assert "spheron's own offers, the cheapest of 1: voltage-park in us-east-1" in text
    for asked in (r"gpuCount *: 8", r"maxUsdPerHour *: 20"):
        assert len(re.findall(asked, text)) == len(["the volume", "the node"]), text
    assert [(asked.method, asked.path) for asked in program.sim.faults.asked] == [("GET", "/api/gpu-offers")]


def test_a_limit_that_no_offer_keeps_to_is_told_in_a_preview(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPHERON_API_KEY", API_KEY)
    text = program.preview(market="on_demand", max_usd_per_hour=5)
    assert "the cost is that of the price list, spheron named no price: no offer of 8x H100 SXM, on demand" in text
    assert "above 5.00 USD/h (from 17.60 USD/h)" in text


def test_without_a_key_the_price_is_the_price_lists(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPHERON_API_KEY", raising=False)
    before = len(program.sim.faults.asked)
    text = program.preview()
    assert "the cost is that of the price list, spheron named no price: SPHERON_API_KEY is not set" in text
    assert "own offers" not in text
    assert len(program.sim.faults.asked) == before
