"""What planning promises of time and truth, measured side by side by the scripts under benchmarks/."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.qualify, pytest.mark.independent]


def measured(name: str, record: Path, record_property: Callable[[str, object], None]) -> str:
    """Run a benchmark, keep its figures for the closing line, and return what it printed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--record", str(record)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    for figure, value in json.loads(record.read_text(encoding="utf-8")).items():
        record_property(figure, value)
    return run.stdout


def test_a_plan_is_answered_at_once(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    assert "planning alone" in measured("plan_speed", tmp_path / "figures.json", record_property)


@pytest.mark.e2e
def test_a_preview_costs_little_more_than_an_empty_one(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert "ratio" in measured("preview", tmp_path / "figures.json", record_property)


@pytest.mark.vllm
@pytest.mark.timeout(3600)
def test_the_real_engine_logs_the_cache_that_was_planned(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert "as planned" in measured("kv_cache_on_cpu", tmp_path / "figures.json", record_property)
