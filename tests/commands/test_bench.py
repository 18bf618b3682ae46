"""`nodestack bench`: which load is asked for, what is printed, and with which exit code it ends."""

import json
from pathlib import Path

import pytest
import yaml

from nodestack.catalog import load
from nodestack.planning.cost_terms import CostTerms
from nodestack.provisioning.bench_report import BenchResult
from nodestack.provisioning.document import BenchDocument
from nodestack.rendering.bench_table import NAMES
from tests.commands.configured import OUTPUTS, RECORD, Played, status
from tests.commands.runs import inside

SLOWER = {"figure": "output_tokens_per_second", "before": 500.0, "now": 250.0, "worse_by": 0.5, "tolerance": 0.1}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    played = Played(monkeypatch, tmp_path, OUTPUTS)
    played.answer = lambda: status(bench=RECORD)
    return played


def asked(played: Played) -> BenchDocument:
    document = played.asked[-1]["more"]
    assert isinstance(document, BenchDocument)
    return document


def test_the_load_is_the_profiles_trace_within_what_the_engine_takes(played: Played) -> None:
    assert inside("bench").returncode == 0
    document = asked(played)
    assert document.bench_prompt_tokens + document.bench_output_tokens == 1024 - load().bench.context_margin_tokens
    assert (document.bench_requests, document.bench_concurrency) == (8, 4)
    assert (document.bench_usd_per_hour, document.bench_usd_basis) == (0, "free: nobody bills for it")
    assert played.asked[-1]["playbook"] == "bench.yml"


def test_options_take_the_place_of_the_profile(played: Played) -> None:
    inside(
        "bench", "--concurrency", "2", "--prompt-tokens", "16", "--output-tokens", "32", "--timeout-s", "60", "--accept"
    )
    document = asked(played)
    assert (document.bench_prompt_tokens, document.bench_output_tokens) == (16, 32)
    assert (document.bench_requests, document.bench_concurrency, document.bench_timeout_s) == (4, 2, 60)
    assert document.bench_accept
    inside("bench", "--requests", "1")
    assert asked(played).bench_concurrency == 1


def test_what_the_cloud_bills_comes_before_what_was_planned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    played = Played(monkeypatch, tmp_path, {**OUTPUTS, "node": {"cloud": "spheron", "usd_per_hour": 14.8}})
    played.answer = lambda: status(bench=RECORD)
    inside("bench")
    assert (asked(played).bench_usd_per_hour, asked(played).bench_usd_basis) == (
        14.8, "what spheron bills for the node",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output-tokens", "2000"], "2106 tokens together: the engine takes 1024"),
        (["--requests", "0"], "0 is no whole number above 0"),
        (["--requests", "many"], "many is no whole number above 0"),
    ],
)
def test_a_load_that_cannot_be_is_refused_before_anything_runs(played: Played, arguments: list[str], said: str) -> None:
    try:
        run = inside("bench", *arguments)
        code, told = run.returncode, run.stderr
    except SystemExit as ended:
        code, told = int(str(ended.code)), said
    assert code == 2
    assert said in told
    assert played.asked == []


def test_figures_that_are_no_worse_end_with_0_and_worse_ones_with_3(played: Played) -> None:
    run = inside("bench")
    assert run.returncode == 0
    assert "no figure is worse than on 2026-11-26T09:00:00Z" in run.stdout
    assert "$16.44 per million output tokens: the node is $14.80 an hour" in run.stdout
    played.answer = lambda: status(bench={**RECORD, "regressions": [SLOWER], "is_baseline": False})
    run = inside("bench")
    assert run.returncode == 3
    assert "50 % worse than 500.0, 10 % are tolerated" in run.stdout
    assert "--accept takes this one in its place" in run.stdout


def test_the_record_is_the_json(played: Played) -> None:
    run = inside("bench", "--json")
    assert BenchResult.model_validate_json(run.stdout).model_dump(mode="json") == json.loads(run.stdout)
    assert "measuring stack local: 8 requests, 4 in flight" in run.stderr


def test_what_is_printed_for_a_stacks_file_is_what_a_plan_reads(played: Played) -> None:
    printed = inside("bench").stdout.partition("stacks/Pulumi.local.yaml:\n")[2]
    terms = CostTerms.model_validate(yaml.safe_load(printed)["nodestack:cost"])
    assert terms.measured is not None
    assert (terms.measured.low, terms.measured.high, terms.measured.kind) == (900_000, 900_000, "measured")
    assert "4x NVIDIA H200" in terms.measured.source


def test_a_node_without_a_record_is_told(played: Played) -> None:
    played.answer = status
    run = inside("bench")
    assert run.returncode == 1
    assert "the node has no record of what was just measured" in run.stderr


def test_every_profile_has_a_trace_and_every_figure_that_is_compared_has_a_name() -> None:
    catalog = load()
    assert all(entry.trace.source for entry in catalog.profiles.profiles.values())
    assert set(catalog.bench.tolerances.model_dump()) == set(NAMES)
