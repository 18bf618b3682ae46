from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack.catalog import load
from nodestack.catalog.prices import CloudBilling, Quantity
from nodestack.planning.cost import Cost
from nodestack.planning.lifetime import Preemptions, Run, TimeToServe, charged_hours
from tests.planning.costs import cost_of, tokens_of, whole_cost_of

SPHERON = load().prices.clouds["spheron"]
BY_THE_HOUR = CloudBilling(granularity_minutes=Quantity(value=60, source="an example", date=date(2026, 1, 1)))


def parts(cost: Cost) -> tuple[TimeToServe, Preemptions, Run]:
    assert cost.time_to_serve and cost.preemptions and cost.run
    return cost.time_to_serve, cost.preemptions, cost.run


@pytest.mark.parametrize(
    ("minutes", "charged"), [(1, 20), (19.5, 20), (20, 20), (20.1, 21), (21, 21), (180, 180)], ids=str
)
def test_a_node_is_charged_for_the_minimum_runtime_and_whole_minutes(minutes: float, charged: float) -> None:
    assert charged_hours(minutes / 60, SPHERON) * 60 == pytest.approx(charged)


@pytest.mark.parametrize(("hours", "charged"), [(0.1, 1), (1, 1), (1.01, 2), (2 + 1e-12, 2)])
def test_a_cloud_that_bills_by_the_hour_charges_whole_hours(hours: float, charged: float) -> None:
    assert charged_hours(hours, BY_THE_HOUR) == charged


@given(hours=st.floats(0.001, 87_600))
def test_no_node_is_charged_for_less_than_it_runs(hours: float) -> None:
    assert charged_hours(hours, CloudBilling()) == pytest.approx(hours)
    assert charged_hours(hours, SPHERON) >= hours - 1e-7


def test_the_time_to_serve_is_boot_fetch_and_load_at_the_nodes_price() -> None:
    start, _, _ = parts(whole_cost_of("4x-h200-sxm5"))
    assert (start.boot_minutes, start.fetch_minutes, start.load_minutes) == pytest.approx((25, 25.04, 1.5), abs=0.01)
    assert (start.total_minutes, start.usd) == pytest.approx((51.54, 12.71), abs=0.01)
    assert "longest that a Spheron node was seen to take" in start.basis


def test_minutes_and_rates_of_the_stack_replace_the_assumed_ones() -> None:
    terms = {"boot_minutes": 5.0, "bandwidth_gbit_s": 10.0, "load_minutes": 12.0}
    start, _, _ = parts(whole_cost_of("4x-h200-sxm5", **terms))
    assert (start.boot_minutes, start.fetch_minutes, start.load_minutes) == pytest.approx((5, 5.384, 12))
    assert start.basis.startswith(
        "boot: given by the stack; fetch: 403.8 GB at 10 Gbit/s, given by the stack; load: given"
    )


def test_weights_of_unknown_size_are_said_not_to_be_counted() -> None:
    cost = cost_of("4x-h200-sxm5")
    start, _, _ = parts(cost)
    assert (start.fetch_minutes, start.load_minutes, start.total_minutes) == (None, None, 25)
    assert "fetching and loading are not counted: the size of the weights is not known" in cost.caveats


def test_a_run_serves_from_its_start_to_its_end() -> None:
    _, _, run = parts(whole_cost_of("4x-h200-sxm5", run_hours=8.0))
    assert run.serving_hours == pytest.approx(8 - 51.54 / 60, abs=0.001)
    assert run.usd == pytest.approx(8 * 14.80 + 8 * 0.078)
    assert run.usd_per_serving_hour == pytest.approx(run.usd / run.serving_hours)


def test_a_run_shorter_than_its_start_never_serves_and_never_breaks_even() -> None:
    cost = whole_cost_of("4x-h200-sxm5", run_hours=0.1)
    _, _, run = parts(cost)
    assumed = tokens_of(cost, "assumed")
    assert (run.serving_hours, run.usd_per_serving_hour) == (0, None)
    assert run.charged_hours * 60 == pytest.approx(20)
    assert assumed.effective_usd_per_million_output_tokens is None and assumed.effective_below_api is None
    assert (assumed.break_even.verdict, assumed.break_even.required_utilisation) == ("never", None)


def test_preemptions_of_spot_take_boot_and_load_each_time_but_no_fetch() -> None:
    _, taken, run = parts(whole_cost_of("4x-h200-sxm5", market="spot", preemptions_per_day=4.0))
    assert taken.minutes_lost_each == pytest.approx(26.5, abs=0.01)
    assert taken.serving_share == pytest.approx(1 - 4 * 26.5 / 1440, abs=0.0001)
    assert run.serving_hours == pytest.approx((720 - 51.54 / 60) * taken.serving_share, abs=0.01)


def test_preemptions_make_the_same_tokens_dearer() -> None:
    calm = tokens_of(whole_cost_of("4x-h200-sxm5", market="spot", preemptions_per_day=0.0), "assumed")
    rough = tokens_of(whole_cost_of("4x-h200-sxm5", market="spot", preemptions_per_day=8.0), "assumed")
    assert calm.effective_usd_per_million_output_tokens and rough.effective_usd_per_million_output_tokens
    assert rough.effective_usd_per_million_output_tokens[0] > calm.effective_usd_per_million_output_tokens[0] * 1.17
    assert rough.usd_per_million_output_tokens == calm.usd_per_million_output_tokens


def test_a_node_that_is_taken_back_all_the_time_never_serves() -> None:
    _, taken, run = parts(whole_cost_of("4x-h200-sxm5", market="spot", preemptions_per_day=60.0))
    assert (taken.serving_share, run.usd_per_serving_hour) == (0, None)


def test_nodes_on_demand_are_not_taken_back() -> None:
    _, taken, _ = parts(whole_cost_of("4x-h200-sxm5", preemptions_per_day=60.0))
    assert (taken.per_day, taken.serving_share) == (0, 1)
