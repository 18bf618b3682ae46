"""The pack behind the real engine: what it says of each case, and that every stack to start from may be previewed."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.policies.rule import UNKNOWN
from tests.plugin.engine import ROOT
from tests.plugin.trial import Run, Trial
from tests.policies import harness

pytestmark = pytest.mark.e2e

CASES = harness.cases()
PACK = ("preview", "--policy-pack", str(ROOT / "policies"))
# A weights volume for each endpoint that is declared; what is not known is an output that only an update resolves.
PROGRAM = '''"""Volumes with nodes, and what is said of them."""

import json
from pathlib import Path

import pulumi
from nodestack.clouds.base import LocalAccount
from nodestack.components.resources import Node, Volume
from nodestack.components.weights_volume import WeightsVolume, WeightsVolumeArgs

HERE = Path(__file__).parent
wanted = json.loads((HERE / "wanted.json").read_text())
account = LocalAccount(directory=str(HERE / "account"))
inputs = {"account": account.model_dump(), "name": "later", "sizeGib": 1}
later = Volume("later", inputs, pulumi.ResourceOptions(protect=True))
for name, said in wanted["declared"].items():
    judged = {key: later.volumeId if value == "unknown" else value for key, value in said.items()}
    volume = WeightsVolume(name, WeightsVolumeArgs(account, name, 1, judged=judged))
    for node in wanted["nodes"]:
        inputs = {
            "account": account.model_dump(),
            "name": node,
            "shape": "local",
            "volumeId": volume.volume_id,
            "sshPrivateKey": "none",
        }
        Node(node, inputs, pulumi.ResourceOptions())
if wanted["bare"]:
    Volume("bare", {"account": account.model_dump(), "name": "bare", "sizeGib": 1}, pulumi.ResourceOptions())
'''


@dataclass(frozen=True)
class Said:
    """What a preview said.

    Attributes:
        run: How it ended.
        found: Levels by policy and resource.
    """

    run: Run
    found: dict[tuple[str, str], str]


class Declared:
    """A project of one's own that declares endpoints and previews them with the pack."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._program = trial.directory / "program"
        (self._program / "__main__.py").write_text(PROGRAM)
        (trial.directory / "stacks").mkdir()

    def preview(
        self,
        declared: dict[str, dict[str, Any]],
        policies: dict[str, Any] | None = None,
        *arguments: str,
        nodes: tuple[str, ...] = (),
        bare: bool = False,
    ) -> Said:
        """Return what the pack says of endpoints, by name."""
        shown = {
            name: {key: "unknown" if value is UNKNOWN else value for key, value in said.items()}
            for name, said in declared.items()
        }
        wanted = {"declared": shown, "nodes": nodes, "bare": bare}
        (self._program / "wanted.json").write_text(json.dumps(wanted))
        (self._trial.directory / "stacks" / "policies.yaml").write_text(json.dumps(policies or {}))
        run = self._trial.run(*PACK, *arguments)
        found = re.findall(r"- \[(\w+)\]\s+(\S+)\s+\((\S+): ([^)]+)\)", run.text)
        return Said(run, {(policy, name): level for level, policy, _, name in found})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    return Declared(Trial(tmp_path_factory.mktemp("a project")))


@pytest.fixture(scope="module")
def well(project: Declared) -> Said:
    """What is said of all cases that pass, and of those in which a value is not known."""
    declared: dict[str, dict[str, Any]] = {}
    policies: dict[str, Any] = {}
    for name, case in CASES.items():
        declared |= {f"{name}-ok": dict(harness.passing(case).facts), f"{name}-not": dict(harness.unknown(case).facts)}
        policies |= harness.passing(case).policies
    return project.preview(declared, policies)


@pytest.fixture(scope="module")
def wrong(project: Declared) -> Said:
    """What is said of all cases that fail, and of a volume of which nothing is said."""
    declared: dict[str, dict[str, Any]] = {"silent": {}}
    policies: dict[str, Any] = {}
    for name, case in CASES.items():
        declared[name] = dict(harness.failing(case).facts)
        policies |= harness.failing(case).policies
    return project.preview(declared, policies)


@pytest.mark.parametrize("name", CASES)
def test_what_is_well_passes(name: str, well: Said) -> None:
    assert (name, f"{name}-ok") not in well.found, well.run.text


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_known_yet_is_told_and_stops_nothing(name: str, well: Said) -> None:
    assert well.found.get((name, f"{name}-not")) == "advisory", well.run.text
    assert re.search(rf"can't run policy '{name}'.*judged\.\w*{CASES[name]['unknown'][0]}", well.run.text)


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_stopped_with_what_to_do(name: str, wrong: Said) -> None:
    assert wrong.run.status != 0
    assert wrong.found.get((name, name)) == "mandatory", wrong.run.text
    assert CASES[name]["said"] in wrong.run.text


def test_a_volume_of_which_nothing_is_said_is_stopped(wrong: Said) -> None:
    assert wrong.found.get(("declared-facts", "silent")) == "mandatory", wrong.run.text
    assert [policy for policy, resource in wrong.found if resource == "silent"] == ["declared-facts"]


def test_stacks_are_judged_as_a_whole(project: Declared) -> None:
    facts = dict(harness.stack().facts)
    said = project.preview({"one": facts, "two": facts}, nodes=(), bare=True)
    text = said.run.text
    assert "the weights volume bare is not protected" in text
    assert "the stack costs 62.89 USD an hour, at most 50.00 are allowed" in text
    assert "has 2 nodes" not in text


def test_a_volume_with_two_nodes_is_stopped_though_it_has_no_id_yet(project: Declared) -> None:
    said = project.preview({"one": dict(harness.stack().facts)}, nodes=("a", "b"))
    assert said.run.status != 0
    assert "the weights volume one has 2 nodes: a, b" in said.run.text


def test_what_is_milder_here_is_advice_and_stops_nothing(project: Declared) -> None:
    said = project.preview({"one": dict(harness.stack("dev").facts)})
    assert said.run.status == 0, said.run.text
    assert "[advisory]  advice" in said.run.text
    assert "closed-ingress: the endpoint is open to 0.0.0.0/0" in said.run.text


def test_pulumis_own_configuration_of_a_pack_holds_over_ours(project: Declared, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"budget": {"enforcementLevel": "advisory", "usd_per_hour": 5}}))
    said = project.preview({"one": dict(harness.stack().facts)}, None, "--policy-pack-config", str(own))
    assert said.found == {("budget", "one"): "advisory"}, said.run.text
    assert "at most 5.00 are allowed" in said.run.text
    assert said.run.status == 0


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Trial]:
    """The project's own program, in a stack of a test."""
    trial = Trial(tmp_path)
    shutil.rmtree(tmp_path / "program")
    (tmp_path / "program").symlink_to(ROOT / "infra")
    yield trial


@pytest.mark.parametrize("name", ["dev", "local", "production", "production-h200", "spot"])
def test_every_stack_to_start_from_may_be_previewed(name: str, program: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPHERON_API_KEY", raising=False)
    file = program.directory / "Pulumi.trial.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"] |= yaml.safe_load((ROOT / "stacks" / "templates" / f"{name}.yaml").read_text())["config"]
    file.write_text(yaml.safe_dump(document))
    run = program.run(*PACK)
    assert run.status == 0, run.text
    assert "nodestack@v0.1.0" in run.text
    assert "[mandatory]" not in run.text
