import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from nodestack.catalog import load
from nodestack.settings import Settings
from nodestack.settings.defaults import SECRETS
from nodestack.settings.parsing import validate
from nodestack.settings.reference import Setting, reference
from tests.commands.runs import inside


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return inside("config", "explain", *arguments)


def kinds_of_clouds() -> tuple[str, ...]:
    return next(tuple(map(str, setting.allowed)) for setting in reference() if setting.key == "cloud.kind")


def test_every_setting_of_every_section_is_explained_with_words_and_an_example() -> None:
    settings = reference()
    for name, field in Settings.model_fields.items():
        for section in [
            kind for kind in (field.annotation, *get_args(field.annotation)) if hasattr(kind, "model_fields")
        ]:
            for key in section.model_fields:
                assert any(f"{setting.key}.".startswith(f"{name}.{key}.") for setting in settings), f"{name}.{key}"
        assert any(setting.key.partition(".")[0] == name for setting in settings), name
    assert [setting.key for setting in settings if not (setting.meaning and setting.example)] == []


@pytest.mark.parametrize("cloud", kinds_of_clouds())
def test_examples_are_settings_that_the_parser_takes(cloud: str) -> None:
    values: dict[str, Any] = {}
    for setting in reference():
        if setting.key == "api_keys":
            assert setting.example == "pulumi config set --secret --path nodestack:api_keys.NAME"
            values["api_keys"] = {"alice": "fedcba9876543210"}
        elif setting.key in SECRETS:
            assert setting.example == f"pulumi config set --secret nodestack:{setting.key}"
            values[setting.key] = "0123456789abcdef"
        elif setting.applies in {"", f"cloud.kind is {cloud}"}:
            flag, text = shlex.split(setting.example)
            key, _, value = text.partition("=")
            assert (flag, key[: len(setting.key)]) == ("--set", setting.key)
            *sections, last = key.split(".")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = yaml.safe_load(value)
    values["cloud"]["kind"] = cloud
    # Each of the two excludes another that is set here.
    del values["workload"]["trace_lengths_file"], values["monitoring"]["alertmanager_url"]
    checked = validate(Settings, values, load(), Path(), "examples")
    assert (checked.cloud.kind, checked.serving.max_model_len) == (cloud, 65536)


def test_a_key_that_only_some_clouds_have_says_which() -> None:
    told = explain("cloud.device").stdout
    assert "where cloud.kind is ssh; required" in told


def test_one_setting_is_told_with_type_choices_and_default() -> None:
    told = explain("node.purpose").stdout
    assert told.startswith("node.purpose  production | development; default production\n")
    assert "refuses what is merely possible" in told


def test_a_section_is_told_alone() -> None:
    keys = re.findall(r"^(\w+)\.", explain("workload").stdout, flags=re.M)
    assert set(keys) == {"workload"}


def test_json_has_the_same_settings() -> None:
    found = [Setting.model_validate(entry) for entry in json.loads(explain("serving", "--json").stdout)]
    assert found == [setting for setting in reference() if setting.key.startswith("serving.")]


@pytest.mark.parametrize(
    ("asked", "meant"), [("serving.max_model_length", "serving.max_model_len"), ("servin", "serving")]
)
def test_an_unknown_key_is_answered_with_the_closest(asked: str, meant: str) -> None:
    answer = explain(asked)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert f"did you mean {meant}?" in answer.stderr
