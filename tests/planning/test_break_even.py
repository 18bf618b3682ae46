from datetime import date

import pytest

from nodestack.catalog.prices import ApiPrice, AssumedThroughput
from nodestack.planning.break_even import ApiSide, api_side, break_even

API = ApiPrice(
    usd_per_million_input_tokens=2, usd_per_million_output_tokens=10, source="an example", date=date(2026, 1, 1)
)
THROUGHPUT = AssumedThroughput(low=500_000, high=1_000_000, source="an example", date=date(2026, 1, 1))
OUTPUT = ApiSide("an api", 10.0, "an example")


@pytest.mark.parametrize(
    ("usd", "verdict", "required"),
    [(400, "within_reach", (0.4, 0.8)), (500, "within_reach", (0.5, 1.0)), (800, "at_best", (0.8, 1.6))],
)
def test_the_verdict_follows_from_the_use_that_it_takes(
    usd: float, verdict: str, required: tuple[float, float]
) -> None:
    even = break_even(usd, (100, 100), THROUGHPUT, OUTPUT)
    assert even.verdict == verdict
    assert even.required_utilisation == pytest.approx(required)
    assert even.million_output_tokens == usd / 10
    assert even.ceiling_million_output_tokens == (50, 100)


def test_a_node_that_costs_more_at_full_use_never_breaks_even_and_still_shows_what_it_would_take() -> None:
    even = break_even(1100, (100, 100), THROUGHPUT, OUTPUT)
    assert even.verdict == "never"
    assert even.required_utilisation == pytest.approx((1.1, 2.2))


def test_hours_that_do_not_serve_raise_the_use_that_it_takes() -> None:
    even = break_even(400, (100, 50), THROUGHPUT, OUTPUT)
    assert even.required_utilisation == pytest.approx((0.8, 1.6))
    assert even.hours == 100


def test_the_api_bills_the_input_that_goes_with_the_output() -> None:
    side = api_side("an api", API, 3)
    assert side.usd_per_million == 16
    assert side.basis == "an example, 2026-01-01; output with 3 input tokens for each output token"
    assert api_side("an api", API, 0).basis.endswith("output alone")
