import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from nodestack.catalog import load
from nodestack.settings import Settings
from nodestack.settings.parsing import SECRETS, validate
from nodestack.settings.reference import Setting, reference
from tests.commands.runs import inside


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return inside("config", "explain", *arguments)


def test_every_setting_of_every_section_is_explained_with_words_and_an_example() -> None:
    settings = reference()
    for name, field in Settings.model_fields.items():
        section = field.annotation
        kinds = [
            kind for kind in (section, *get_args(section)) if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        for kind in kinds:
            for key in kind.model_fields:
                assert any(f"{s.key}.".startswith(f"{name}.{key}.") for s in settings), f"{name}.{key}"
        if not kinds:
            assert any(setting.key == name for setting in settings), name
    assert all(setting.meaning and setting.example for setting in settings)


@pytest.mark.parametrize("cloud", ["local", "spheron", "verda", "ssh"])
def test_examples_are_settings_that_the_parser_takes(cloud: str) -> None:
    values: dict[str, dict[str, object]] = {}
    for setting in reference():
        if setting.key.startswith("cloud.") and not setting.meaning.startswith(f"Of `{cloud}`: "):
            continue
        if setting.key in SECRETS:
            assert setting.example == f"pulumi config set --secret nodestack:{setting.key}"
            values[setting.key] = "0123456789abcdef"  # type: ignore[assignment]
            continue
        flag, text = shlex.split(setting.example)
        key, _, value = text.partition("=")
        assert (flag, key[: len(setting.key)]) == ("--set", setting.key)
        place = values
        *sections, last = key.split(".")
        for section in sections:
            place = place.setdefault(section, {})  # type: ignore[assignment]
        place[last] = yaml.safe_load(value)
    del values["workload"]["trace_lengths_file"]
    values["cloud"]["kind"] = cloud
    checked = validate(Settings, values, load(), Path(), "examples")
    assert checked.serving.max_model_len == 65536


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
