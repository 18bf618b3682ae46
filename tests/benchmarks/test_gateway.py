"""What the gateway promises of speed and of attacks, measured by the scripts under benchmarks/."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.gateway_latency import is_within
from benchmarks.gateway_vllm import interval

from tests.benchmarks.test_planning import measured

GOOD = {"added p50 ms": 2.0, "added p99 ms": 9.0, "event late p99 ms": 5.0, "events joined": 0, "events": 500}


@pytest.mark.parametrize(
    ("change", "within"),
    [
        ({}, True),
        ({"added p50 ms": 3.1}, False),
        ({"added p99 ms": 15.1}, False),
        # A proxy that gathers events hands several over at once, or late.
        ({"events joined": 6}, False),
        ({"event late p99 ms": 21.0}, False),
    ],
)
def test_a_gateway_that_is_slow_or_holds_back_is_not_within_the_limits(change: dict[str, float], within: bool) -> None:
    assert is_within(GOOD | change) is within


def test_pairs_that_are_alike_have_a_ratio_of_one_and_an_interval_around_it() -> None:
    pairs = [{"gateway": {"total_s": 1.0 + sign * 0.1}, "direct": {"total_s": 1.0}} for sign in (-1, 1) * 5]
    ratio, low, high = interval(pairs, "total_s")
    assert low < 1.0 < high
    assert math.isclose(ratio, math.sqrt(0.99))


def test_a_constant_cost_is_the_ratio_and_its_interval_has_no_width() -> None:
    pairs = [{"gateway": {"total_s": seconds * 1.02}, "direct": {"total_s": seconds}} for seconds in range(1, 11)]
    assert interval(pairs, "total_s") == pytest.approx((1.02, 1.02, 1.02))


@pytest.mark.qualify
@pytest.mark.node
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["gateway_latency", "gateway_hostile"])
def test_the_gateway_costs_little_and_lets_nothing_past(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert measured(name, tmp_path / "figures.json", record_property)
