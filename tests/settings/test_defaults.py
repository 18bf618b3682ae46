"""What stacks share holds where a stack says nothing, key by key, and what may not be shared is refused."""

import json
from pathlib import Path

import pytest

from nodestack.catalog import load
from nodestack.errors import SettingsError
from nodestack.settings import parse
from tests.stacks import config


def shared(directory: Path, text: str) -> Path:
    (directory / "stacks").mkdir()
    (directory / "stacks" / "defaults.yaml").write_text(text, encoding="utf-8")
    return directory


def test_a_stack_holds_over_the_defaults_key_by_key(tmp_path: Path) -> None:
    project = shared(
        tmp_path,
        "config:\n  nodestack:serving: {max_num_seqs: 7, smoke_interval_minutes: 5}\n"
        "  nodestack:gateway: {allowed_cidrs: [203.0.113.0/24]}\n",
    )
    settings = parse(config(serving={"max_num_seqs": 4}), load(), project)
    assert (settings.serving.max_num_seqs, settings.serving.smoke_interval_minutes) == (4, 5)
    assert settings.gateway.allowed_cidrs == ("203.0.113.0/24",)


def test_without_the_file_a_stack_is_what_it_says(tmp_path: Path) -> None:
    assert parse(config(), load(), tmp_path) == parse(config(), load())


def test_a_key_that_is_no_setting_is_refused_as_in_a_stack(tmp_path: Path) -> None:
    project = shared(tmp_path, "config:\n  nodestack:serving: {max_num_seq: 7}\n")
    with pytest.raises(SettingsError, match=r"serving\.max_num_seq is no setting; did you mean"):
        parse(config(), load(), project)


@pytest.mark.parametrize("section", ["cloud", "api_key", "ssh_private_key"])
def test_where_a_stack_lives_and_its_secrets_are_not_shared(tmp_path: Path, section: str) -> None:
    project = shared(tmp_path, json.dumps({"config": {f"nodestack:{section}": {"kind": "local"}}}))
    with pytest.raises(SettingsError, match=f"nodestack:{section}, which each stack says itself"):
        parse(config(), load(), project)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"stacks/defaults\.yaml is no stack's file"):
        parse(config(), load(), shared(tmp_path, "- config\n"))
