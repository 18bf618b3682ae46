"""Bad input: one clear error, a failing exit status, and nothing created."""

from typing import Any

import pytest

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
