"""Policies are read from the command line as a table, one by one, and as what they say of a stack."""

import json
from pathlib import Path

import pytest

from nodestack.policies.book import ours
from nodestack.policies.rules import RULES
from tests.commands.runs import inside

pytestmark = pytest.mark.usefixtures("project")


def test_the_table_has_every_policy_with_its_severity_by_environment() -> None:
    lines = inside("policies").stdout.splitlines()
    rows = {line.split()[0]: line for line in lines if line and line.split()[0] in RULES}
    assert list(rows) == list(RULES)
    assert rows["no-spot"].split()[-4:] == ["-", "-", "-", "stops"]
    assert rows["closed-ingress"].split()[-4:] == ["-", "advises", "advises", "stops"]


@pytest.mark.parametrize("name", RULES)
def test_one_is_told_with_why_how_to_fix_it_and_what_is_set(name: str) -> None:
    told = " ".join(inside("policies", name).stdout.split())
    policy = ours().policies[name]
    for said in (policy.title, policy.why, policy.fix, policy.source):
        assert said in told


def test_a_project_changes_what_is_shown(project: Path) -> None:
    (project / "stacks" / "policies.yaml").write_text("no-spot: {severity: {spot: advisory}}\n")
    assert json.loads(inside("policies", "--json").stdout)["no-spot"]["severity"]["spot"] == "advisory"


def test_an_unknown_policy_is_answered_with_the_closest() -> None:
    done = inside("policies", "no-spott")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean no-spot?" in done.stderr


def test_a_stack_is_judged_by_its_file(project: Path) -> None:
    assert inside("policies", "--stack", "production").returncode == 0
    file = project / "stacks" / "Pulumi.mine.yaml"
    file.write_text((project / "stacks" / "templates" / "production.yaml").read_text().replace("on_demand", "spot"))
    done = inside("policies", "--stack", "mine")
    assert done.returncode == 1
    assert "the node is bought on the market 'spot'" in " ".join(done.stdout.split())
    stops = [
        each for each in json.loads(inside("policies", "--stack", "mine", "--json").stdout) if each["verdict"]["said"]
    ]
    assert [(each["verdict"]["policy"], each["severity"]) for each in stops] == [("no-spot", "mandatory")]
