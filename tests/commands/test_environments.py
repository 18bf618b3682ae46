"""Stacks are made from stacks and held beside each other, without the engine and without their secrets."""

import json
import stat
from pathlib import Path

import pytest
import yaml

from nodestack.automation.checkout import Checkout
from nodestack.catalog import load
from nodestack.commands import declared
from tests.commands.runs import inside

pytestmark = pytest.mark.usefixtures("project")


@pytest.mark.parametrize("source", ["local", "dev", "production", "production-h200", "spot", "spheron-sim"])
def test_a_stack_is_made_from_each_to_start_from_with_its_comments(project: Path, source: str) -> None:
    done = inside("config", "new", "mine", "--from", source)
    assert done.returncode == 0, done.stderr
    file = project / "stacks" / "Pulumi.mine.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text, template = file.read_text(), (project / "stacks" / "templates" / f"{source}.yaml").read_text()
    assert yaml.safe_load(text) == yaml.safe_load(template)
    comments = [line for line in template.split("config:")[1].splitlines() if line.strip().startswith("#")]
    assert comments and all(line in text for line in comments)
    assert text.startswith(f"# Stack mine, made from {source} by `nodestack config new`.")
    assert inside("diff", "mine", source).returncode == 0


def test_settings_that_differ_are_set_and_planned(project: Path) -> None:
    done = inside(
        "config", "new", "eu", "--from", "production", "--set", "node.region=FIN-02", "--set", "volume.size_gib=700"
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(inside("diff", "production", "eu", "--json").stdout)
    assert [(row["name"], row["right"]) for row in rows] == [("node.region", "FIN-02"), ("volume.size_gib", 700)]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "said"),
    [
        ("mine", ("--from", "nothing"), 2, "there is no stack nothing"),
        ("Mine", ("--from", "production"), 2, "would have something called 'nodestack-Mine-weights'"),
        ("mine", ("--from", "production", "--set", "shape=x"), 2, "say SECTION.KEY=VALUE"),
        ("mine", ("--from", "production", "--set", "node.shap=x"), 2, "nodestack:node.shap is no setting"),
        ("mine", ("--from", "production", "--set", "node.shape=2x-h200-sxm5"), 1, "this stack cannot work"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    project: Path, name: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = inside("config", "new", name, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert list((project / "stacks").glob("Pulumi.*")) == []


def test_a_stack_that_is_there_is_not_written_over(project: Path) -> None:
    assert inside("config", "new", "mine", "--from", "spot").returncode == 0
    before = (project / "stacks" / "Pulumi.mine.yaml").read_text()
    assert "there is a stack mine already" in inside("config", "new", "mine", "--from", "production").stderr
    assert (project / "stacks" / "Pulumi.mine.yaml").read_text() == before


def test_secrets_of_a_stack_stay_with_it(project: Path) -> None:
    file = project / "stacks" / "Pulumi.old.yaml"
    template = (project / "stacks" / "templates" / "production.yaml").read_text()
    file.write_text(f"encryptionsalt: v1:salt\n{template}  nodestack:api_key:\n    secure: v1:key\n")
    assert inside("config", "new", "young", "--from", "old").returncode == 0
    assert "v1:" not in (project / "stacks" / "Pulumi.young.yaml").read_text()
    assert "v1:" not in inside("diff", "old", "dev", "--json").stdout


def test_drift_is_shown_in_settings_and_plan() -> None:
    done = inside("diff", "dev", "production")
    assert done.returncode == 1
    for shown in ("node.shape", "4x-h200-sxm5", "8x-h100-sxm5", "tensor parallel", "USD an hour", "--max-num-seqs"):
        assert shown in done.stdout
    kinds = {row["kind"] for row in json.loads(inside("diff", "dev", "production", "--json").stdout)}
    assert kinds == {"setting", "plan"}


def test_stacks_share_what_the_projects_defaults_say(project: Path) -> None:
    (project / "stacks" / "defaults.yaml").write_text("config: {nodestack:serving: {smoke_interval_minutes: 5}}\n")
    stack = declared.read(Checkout(project), "production", load())
    assert stack.settings.serving.smoke_interval_minutes == 5
    assert inside("plan", "--stack", "production").returncode == 0
    (project / "stacks" / "defaults.yaml").write_text("config: {nodestack:serving: {max_model_len: 1}}\n")
    assert inside("plan", "--stack", "production", "--json").stdout != inside("plan", "--stack", "dev").stdout


def test_the_variant_on_h200_differs_in_its_machine_only() -> None:
    rows = json.loads(inside("diff", "production", "production-h200", "--json").stdout)
    assert {row["name"] for row in rows if row["kind"] == "setting"} == {"node.shape", "node.max_usd_per_hour"}
