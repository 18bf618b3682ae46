"""Bad input: one clear error, a failing exit status, and nothing created."""

from typing import Any

import pytest
import yaml

from tests.e2e.project import STACK, Project

pytestmark = pytest.mark.e2e

REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a branch": ("model", {"commit": "main"}, "nodestack:model.commit is 'main': a pin is 40 hex digits"),
    "39 digits": ("model", {"commit": "a" * 39}, "a pin is 40 hex digits"),
    "unknown commit": ("model", {"commit": "0" * 40}, "the repository has no such commit"),
    "unknown model": ("model", {"name": "trinity-huge"}, "model.name is 'trinity-huge', known are: "),
    "unknown shape": ("node", {"shape": "9x-h100"}, "node.shape is '9x-h100', known are: "),
    "misspelt key": ("serving", {"max_model_length": 1024}, "did you mean nodestack:serving.max_model_len?"),
    "small volume": ("volume", {"size_gib": 1}, "volume.size_gib is 1 (1.1 GB)"),
}


@pytest.fixture(scope="module")
def prepared(project: Project) -> Project:
    assert project.make("init").status == 0
    return project


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_once_and_nothing_is_created(prepared: Project, case: str) -> None:
    section, changes, message = REFUSALS[case]
    good = prepared.stack_file.read_text(encoding="utf-8")
    try:
        prepared.configure(section, **changes)
        run = prepared.up()
    finally:
        prepared.stack_file.write_text(good, encoding="utf-8")
    assert run.status != 0
    assert "Traceback" not in run.text
    assert run.text.partition("Diagnostics:")[2].count(message) == 1, run.text
    assert run.text.count("error: update failed") == 0
    assert prepared.nodes() == prepared.volumes() == []


@pytest.mark.parametrize("command", ["up", "down", "init"])
def test_a_file_that_is_no_stacks_file_is_told_in_one_line(prepared: Project, command: str) -> None:
    good = prepared.stack_file.read_text(encoding="utf-8")
    try:
        prepared.stack_file.write_text(f"{good}\n  what: : is this\n", encoding="utf-8")
        run = prepared.make(command)
    finally:
        prepared.stack_file.write_text(good, encoding="utf-8")
    assert run.status != 0
    assert "Traceback" not in run.text
    assert run.text.count("is no stack's file: ") == 1, run.text


def test_a_missing_passphrase_is_refused_and_nothing_is_created(prepared: Project) -> None:
    passphrase = prepared.root / ".nodestack" / "passphrase"
    hidden = passphrase.rename(passphrase.with_suffix(".away"))
    try:
        run = prepared.up()
    finally:
        hidden.rename(passphrase)
    assert run.status != 0
    assert f"the passphrase of stack {STACK} is missing: put it back into" in run.text
    assert prepared.nodes() == prepared.volumes() == []


def test_a_secret_in_the_clear_is_refused_and_one_by_name_that_is_encrypted_is_not(prepared: Project) -> None:
    good = prepared.stack_file.read_text(encoding="utf-8")
    try:
        clear = {**yaml.safe_load(good)["config"], "nodestack:alert_secret": "in-the-clear-0123"}
        prepared.stack_file.write_text(yaml.safe_dump({**yaml.safe_load(good), "config": clear}), encoding="utf-8")
        run = prepared.up()
        assert run.status != 0
        assert run.text.count("nodestack:alert_secret stands in the clear in the stack's file") == 1, run.text
        assert "in-the-clear-0123" not in run.text
        prepared.stack_file.write_text(good, encoding="utf-8")
        told = prepared.shell(
            f'eval "$(make -s env)" && export PULUMI_STACK={STACK} && pulumi preview --non-interactive'
            " && pulumi config set --secret --path nodestack:api_keys.alice sk-of-alice-0123456789"
        )
        assert told.status == 0, told.text
        assert "secure" in prepared.stack_file.read_text(encoding="utf-8").partition("api_keys")[2]
    finally:
        prepared.stack_file.write_text(good, encoding="utf-8")
    assert prepared.nodes() == prepared.volumes() == []
