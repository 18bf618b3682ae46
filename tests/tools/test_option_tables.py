import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import engine_environment
import option_tables
from engine_environment import EngineEnvironmentError, environment, versions
from nodestack.catalog.engine_options import TABLES
from tests.engine_parsers import Asked, judge
from tests.option_sets import VERSIONS, WRONG_OPTIONS, as_said

DESCRIBED: dict[str, Any] = {
    "options": {
        "seed": {"type": "integer", "default": 0},
        "dtype": {"type": "text", "choices": ["auto", "half"]},
        "group": {"type": "config", "keys": {"b": {"type": "boolean"}, "a": {"type": "json"}}},
    },
    "tool_call_parsers": ["hermes"],
    "reasoning_parsers": [],
    "quantization_methods": [f"method_{number}" for number in range(20)],
    "deprecated_quantization_methods": [],
    "kv_cache_dtypes": ["auto"],
    "load_formats": ["auto"],
    "structured_outputs_backends": ["auto"],
}


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every version is described as."""
    content: dict[str, Any] = json.loads(json.dumps(DESCRIBED))
    monkeypatch.setattr(option_tables, "describe", lambda version: content)
    return content


def test_a_table_is_sorted_dated_and_read_back() -> None:
    text = option_tables.render("1.0", DESCRIBED, "")
    table = yaml.safe_load(text)
    assert list(table["options"]) == ["dtype", "group", "seed"]
    assert list(table["options"]["group"]["keys"]) == ["a", "b"]
    assert (table["version"], table["date"]) == ("1.0", date.today())
    assert option_tables.render("1.0", json.loads(json.dumps(DESCRIBED)), text) == text


def test_a_table_that_says_the_same_keeps_its_date_and_another_gets_todays() -> None:
    text = option_tables.render("1.0", DESCRIBED, "").replace(date.today().isoformat(), "2020-01-02")
    assert yaml.safe_load(option_tables.render("1.0", DESCRIBED, text))["date"] == date(2020, 1, 2)
    changed = {**DESCRIBED, "reasoning_parsers": ["new"]}
    assert yaml.safe_load(option_tables.render("1.0", changed, text))["date"] == date.today()


def test_a_check_shows_the_difference_fails_and_writes_nothing(
    described: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(option_tables, "TABLES", tmp_path)
    assert option_tables.main(["1.0"]) == 0
    assert option_tables.main(["--check", "1.0"]) == 0
    kept = (tmp_path / "1.0.yaml").read_text()
    described["options"]["seed"]["type"] = "number"
    capsys.readouterr()
    assert option_tables.main(["--check", "1.0"]) == 1
    said = capsys.readouterr().out
    assert "-  seed: {default: 0, type: integer}" in said
    assert "+  seed: {default: 0, type: number}" in said
    assert (tmp_path / "1.0.yaml").read_text() == kept


def test_every_version_of_the_catalogue_has_a_lock() -> None:
    assert versions() == VERSIONS


def test_a_version_without_a_lock_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EngineEnvironmentError, match=r"vLLM 9\.9 has no lock, known are: 0\.23\.0, 0\.32\.0"):
        environment("9.9")


def test_what_the_installer_said_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_environment, "ROLE", TABLES)
    with pytest.raises(EngineEnvironmentError, match="No module named"):
        engine_environment._install([])


@pytest.mark.qualify
@pytest.mark.vllm
@pytest.mark.parametrize("version", VERSIONS)
def test_tables_are_what_the_parsers_say_now(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert option_tables.main(["--check", version]) == 0, capsys.readouterr().out


@pytest.mark.qualify
@pytest.mark.vllm
@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_parser_refuses_exactly_the_corrections_that_say_so(version: str) -> None:
    wrong = [correction for correction, of_version in WRONG_OPTIONS if of_version == version]
    verdicts = judge(version, [Asked(options=as_said(correction)) for correction in wrong])
    for correction, verdict in zip(wrong, verdicts, strict=True):
        assert (verdict.kind == "parser") is (correction.kind == "parser"), (correction.guide, verdict.said)
