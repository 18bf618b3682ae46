"""docs/first-steps.md, walked by a newcomer: every command as it is printed, in a clone of its own."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.project import ROOT, Project, clone, leftovers

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(3600)]

PAGE = (ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8")
STEPS = {
    title: re.findall(r"^```sh\n(.*?)^```$", text, flags=re.M | re.S)
    for title, text in re.findall(r"^## \d\. (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S)
}
SAID = {
    "Install": "nothing wrong",
    "This machine": '"object":"chat.completion"',
    "Development": "may be brought up",
    "Production": "may be brought up",
    "Spot": "after: ",
    "CI": "",  # What it says is in files, looked at by a test of their own.
}
"""What a step's commands say, among much else."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return a newcomer's clone, which git knows, and tear down whatever a failed step left."""
    root = tmp_path_factory.mktemp("a newcomer") / "nodestack"
    project = clone(root)
    begun = project.shell(
        "git init -q -b main . && echo runs.log >> .git/info/exclude && git add -A && git commit -q -m begun"
    )
    assert begun.status == 0, begun.text
    yield project
    project.make("purge", "YES=1")
    project.make("purge", "YES=1", "CLOUD=spheron-sim")
    assert leftovers(project) == []


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit as somebody, and have no cloud's key."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "newcomer")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "newcomer@example.com")
    for name in ("SPHERON_API_KEY", "VERDA_CLIENT_ID", "VERDA_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)


def test_each_step_has_commands_and_is_looked_at() -> None:
    assert SAID.keys() == STEPS.keys()
    assert all(STEPS.values())


@pytest.mark.parametrize("step", STEPS)
def test_a_step_works_as_printed(project: Project, step: str) -> None:
    said = ""
    for block in STEPS[step]:
        run = project.shell(f"set -eo pipefail\n{block}")
        assert run.status == 0, f"{block}\n{run.text}"
        said += run.text
    assert SAID[step] in said


def test_the_evaluation_is_recorded_in_a_file_and_where_policies_look(project: Project) -> None:
    [file] = (project.root / "evaluations").glob("*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert (kept["name"], kept["stack"], kept["minimum"]) == ("example", "local", 0)
    assert kept["figures"]["questions"] == 5 and kept["score"] == kept["figures"]["right"] / 5
    assert kept["engine_options"] and kept["seconds"] > 0
    settings = yaml.safe_load(project.stack_file.read_text(encoding="utf-8"))["config"]
    told = settings["nodestack:policy"]["evaluations"][kept["commit"]]
    assert (float(told["score"]), told["source"]) == (kept["score"], f"example, evaluations/{file.name}")


def test_ci_reviewed_both_stacks(project: Project) -> None:
    for stack in ("dev", "production"):
        assert (project.root / "review" / f"{stack}.status").read_text(encoding="utf-8") == "0\n"
        assert "may be brought up" in (project.root / "review" / f"{stack}.md").read_text(encoding="utf-8")


def test_no_node_is_left_and_what_git_tracks_is_committed(project: Project) -> None:
    assert project.nodes() == []
    assert project.shell("git status --porcelain").text == ""
    committed = project.shell("git ls-files stacks").text.split()
    assert "stacks/Pulumi.dev.yaml" in committed and "stacks/Pulumi.production.yaml" in committed
