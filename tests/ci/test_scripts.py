"""What CI runs for a user: reviews of all stacks, comments in place of former ones, `up` from a protected branch."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STUB = '#!/bin/bash\necho "$(basename "$0") $*" >> "$CALLS"\n'
REVIEW = f"""{STUB}
while [ "$1" != --output ]; do [ "$1" = bad ] && status=1; shift; done
echo "<!-- m -->" > "$2"
exit ${{status:-0}}
"""
WORKFLOWS = {name: ROOT / "examples" / "ci" / f"{name}.yml" for name in ("github", "gitlab")}


class Checkout:
    """A checkout whose programs only write down how they were called."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, root / "calls"
        shutil.copytree(ROOT / ".ci", root / ".ci")
        (root / "stacks").mkdir()
        self.program(".venv/bin/nodestack", REVIEW)
        self.program(".venv/bin/python", f"{STUB}echo 'export SEEN=1'\n")
        self.program("bin/pulumi", STUB)
        subprocess.run(["git", "init", "--quiet", root], check=True)

    def program(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def stack(self, *names: str) -> None:
        for name in names:
            (self.root / "stacks" / f"Pulumi.{name}.yaml").touch()
        subprocess.run(["git", "-C", self.root, "add", "stacks"], check=True)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("GITHUB_", "CI"))}
        given = kept | {"CALLS": str(self.calls), "PATH": f"{self.root}/bin:{os.environ['PATH']}"} | environment
        command = [str(self.root / ".ci" / script), *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_committed_stack_is_reviewed_and_one_that_is_refused_fails_all(checkout: Checkout) -> None:
    checkout.stack("bad", "dev", "production")
    done = checkout.run("review")
    assert done.returncode == 1
    assert "stack bad is refused" in done.stderr
    assert [call.split()[3] for call in checkout.called] == ["bad", "dev", "production"]
    assert {path.name: path.read_text().strip() for path in (checkout.root / "review").glob("*.status")} == {
        "bad.status": "1",
        "dev.status": "0",
        "production.status": "0",
    }


def test_a_checkout_without_stacks_has_nothing_to_refuse(checkout: Checkout) -> None:
    assert checkout.run("review").returncode == 0


@pytest.mark.parametrize("variable", ["GITHUB_REF_PROTECTED", "CI_COMMIT_REF_PROTECTED"])
def test_a_protected_branch_is_brought_up_with_the_policies_after_a_review(checkout: Checkout, variable: str) -> None:
    done = checkout.run("up", "production", **{variable: "true"})
    assert done.returncode == 0, done.stderr
    assert [call.split()[0] for call in checkout.called] == ["nodestack", "python", "pulumi", "pulumi"]
    assert "--policy-pack policies" in checkout.called[-1]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"GITHUB_REF_PROTECTED": "false"},
        {"GITHUB_REF_PROTECTED": "true", "GITHUB_HEAD_REF": "a-branch"},
        {"CI_COMMIT_REF_PROTECTED": "true", "CI_MERGE_REQUEST_IID": "7"},
    ],
)
def test_nothing_else_is_brought_up(checkout: Checkout, environment: dict[str, str]) -> None:
    assert checkout.run("up", "production", **environment).returncode == 1
    assert checkout.called == []


def test_a_stack_that_is_refused_is_not_brought_up(checkout: Checkout) -> None:
    assert checkout.run("up", "bad", GITHUB_REF_PROTECTED="true").returncode == 1
    assert not any(call.startswith("pulumi") for call in checkout.called)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(
    ("former", "asked"), [("<!-- m -->\\nold", "PATCH .*/comments/5 "), ("another", "POST .*/7/comments ")]
)
def test_a_comment_takes_the_place_of_its_former_one(checkout: Checkout, former: str, asked: str) -> None:
    checkout.run("review", "dev")
    comments = f'[{{"id": 5, "body": "{former}"}}]'
    checkout.program("bin/gh", f"{STUB}[[ $* == *--paginate* ]] && echo '{comments}'\nexit 0\n")
    done = checkout.run("comment", GITHUB_REPOSITORY="o/r", PULL_REQUEST="7")
    assert done.returncode == 0, done.stderr
    assert re.search(f"--method {asked}", checkout.called[-1])


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_note_on_gitlab_is_written_without_its_token_in_any_argument(checkout: Checkout) -> None:
    checkout.run("review", "dev")
    checkout.program("bin/curl", f"{STUB}cat >> \"$CALLS.input\"\necho '[]'\n")
    gitlab = {"CI_API_V4_URL": "https://git.example.com/api/v4", "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7"}
    gitlab |= dict.fromkeys(["REVIEW_TOKEN"], "of a bot")
    done = checkout.run("comment", **gitlab)
    assert done.returncode == 0, done.stderr
    assert "--request POST" in checkout.called[-1] and "merge_requests/7/notes" in checkout.called[-1]
    assert "of a bot" not in checkout.calls.read_text()
    assert "of a bot" in Path(f"{checkout.calls}.input").read_text()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_call_scripts_and_targets_that_exist(name: str) -> None:
    text = WORKFLOWS[name].read_text()
    assert yaml.safe_load(text)
    scripts = set(re.findall(r"\.ci/(\w+)", text))
    assert scripts == {"review", "comment", "up"}
    for script in scripts:
        assert os.access(ROOT / ".ci" / script, os.X_OK)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", re.sub(r"--no-install-recommends.*", "", text)):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_up_is_for_protected_branches_only() -> None:
    github: dict[str, Any] = yaml.safe_load(WORKFLOWS["github"].read_text())["jobs"]["up"]
    assert github["if"] == "github.event_name == 'push' && github.ref_protected"
    gitlab: dict[str, Any] = yaml.safe_load(WORKFLOWS["gitlab"].read_text())["up"]
    assert json.dumps(gitlab["rules"]).count('$CI_COMMIT_REF_PROTECTED == \\"true\\"') == len(gitlab["rules"])
