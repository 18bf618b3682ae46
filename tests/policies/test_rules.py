"""Each policy lets pass, stops and holds its tongue where it must; one whose code is gone is noticed."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from nodestack.policies.facts import Facts
from nodestack.policies.judging import environment_said, judge_one
from nodestack.policies.rule import UNKNOWN, Rule, judge
from nodestack.policies.rules import RULES
from nodestack.policies.rules.stack import Whole
from tests.policies import harness

CASES = harness.cases()
WHOLE: dict[str, Any] = {
    "volumes": {"weights": True},
    "nodes": {"weights": ("node",)},
    "usd_per_hour": {"weights": 31.36},
    "volume_usd_per_hour": {"weights": 0.08},
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "volume-protected": ({"volumes": {"weights": False}}, "the weights volume weights is not protected"),
    "one-node-per-volume": ({"nodes": {"weights": ("one", "two")}}, "has 2 nodes: one, two"),
    "stack-budget": ({"usd_per_hour": {"a": 31.36, "b": 31.36}}, "the stack costs 62.80 USD an hour, at most 50.00"),
}


def test_every_policy_has_cases() -> None:
    assert CASES.keys() | WRONG.keys() == RULES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_stack_that_is_well_passes(name: str, tmp_path: Path) -> None:
    judged = harness.passing(CASES[name]).judged(name, tmp_path)
    assert (judged.severity, judged.verdict.outcome) == ("mandatory", "passed"), judged


@pytest.mark.parametrize("name", CASES)
def test_a_stack_that_is_not_is_stopped_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    judged = harness.failing(CASES[name]).judged(name, tmp_path)
    assert judged.stops
    assert CASES[name]["said"] in " ".join(judged.verdict.said)


@pytest.mark.parametrize("name", CASES)
def test_a_value_that_is_not_known_yet_neither_passes_nor_stops(name: str, tmp_path: Path) -> None:
    judged = harness.unknown(CASES[name]).judged(name, tmp_path)
    assert judged.verdict.outcome == "unknown"
    assert judged.verdict.unknown == tuple(CASES[name]["unknown"])


@pytest.mark.parametrize("name", CASES)
def test_a_value_that_nobody_says_is_stopped(name: str) -> None:
    verdict = judge(RULES[name], {}, RULES[name].terms())
    assert verdict.outcome == "violated"
    assert "not said, so it cannot be judged" in verdict.said[0]


@pytest.mark.parametrize("name", WRONG)
def test_whole_stacks_are_judged(name: str, tmp_path: Path) -> None:
    changed, said = WRONG[name]
    book = harness.stack().book(tmp_path)
    assert judge_one(name, WHOLE, "production", book).verdict.outcome == "passed"
    judged = judge_one(name, WHOLE | changed, "production", book)
    assert judged.stops
    assert said in judged.verdict.said[0]
    unknown = {key: dict.fromkeys(value, UNKNOWN) for key, value in WHOLE.items()}
    assert judge_one(name, unknown, "production", book).verdict.outcome == "unknown"


@pytest.mark.parametrize("name", RULES)
def test_a_policy_whose_code_is_gone_is_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without: Rule[Any, Any] = dataclasses.replace(RULES[name], judge=lambda given, terms: ())
    monkeypatch.setitem(RULES, name, without)
    noticed = test_whole_stacks_are_judged if name in WRONG else test_a_stack_that_is_not_is_stopped_with_what_is_wrong
    with pytest.raises(AssertionError):
        noticed(name, tmp_path)


def test_rules_look_at_nothing_that_is_not_a_fact() -> None:
    for rule in RULES.values():
        known = Whole if rule.subject == "stack" else Facts
        assert rule.given.model_fields.keys() <= known.model_fields.keys(), rule.name


def test_a_malformed_value_is_stopped_and_raises_nothing(tmp_path: Path) -> None:
    judged = harness.stack(facts={"allowed_cidrs": ["everywhere"]}).judged("closed-ingress", tmp_path)
    assert judged.stops
    assert "no network" in judged.verdict.said[0]


def test_a_digest_that_is_written_down_after_the_first_up_changes_no_fact() -> None:
    before = harness.stack().facts
    pinned = {"model": {"manifests": {before["commit"]: "a" * 64}}}
    assert harness.stack(settings=pinned).facts == before


def test_an_environment_that_nobody_knows_is_the_strictest() -> None:
    assert environment_said({"environment": "staging"}) == "production"
    assert environment_said({"environment": UNKNOWN}) == "production"
    assert environment_said({"environment": "local"}) == "local"


@pytest.mark.parametrize("name", ["local", "dev", "production", "production-h200", "spot", "spheron-sim", "verda-sim"])
def test_no_stack_to_start_from_is_stopped(name: str, tmp_path: Path) -> None:
    assert [judged for judged in harness.stack(name).all_judged(tmp_path) if judged.stops] == []
