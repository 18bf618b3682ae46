import json
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from nodestack.catalog import NodePrice, load
from nodestack.catalog.prices import Market, MeasuredThroughput, Rate
from nodestack.errors import CatalogError
from nodestack.planning.cost import Cost, expected
from nodestack.planning.cost_terms import CostTerms
from tests.planning.costs import FP8_BYTES, VOLUME_GB, cost_of, tokens_of, whole_cost_of

MEASURED = MeasuredThroughput(low=400_000, high=500_000, source="a benchmark of this stack", date=date(2026, 11, 20))
LIVE = Rate(usd_per_hour=29.5, cloud="spheron", source="the cloud's offer", date=date(2026, 11, 22))


def live(usd_per_hour: float) -> Rate:
    return LIVE.model_copy(update={"usd_per_hour": usd_per_hour})


positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False)
rates = st.builds(live, positive)
throughputs = st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)).map(
    lambda both: MEASURED.model_copy(update={"low": min(both), "high": max(both)})
)
minutes = st.none() | st.floats(0, 10_080)
terms_without_a_price = st.builds(
    CostTerms,
    utilisation=st.floats(0, 1, exclude_min=True),
    input_tokens_per_output_token=st.floats(0, 1_000_000),
    cloud=st.sampled_from([None, "spheron", "verda"]),
    measured=st.none() | throughputs,
    run_hours=st.none() | st.floats(0, 87_600, exclude_min=True),
    preemptions_per_day=st.none() | st.floats(0, 1440),
    boot_minutes=minutes,
    fetch_minutes=minutes,
    load_minutes=minutes,
    bandwidth_gbit_s=st.none() | st.floats(0.001, 100_000),
    load_gb_s=st.none() | st.floats(0.001, 100_000),
)
shapes = st.sampled_from([*load().nodes.shapes, "none of ours"])
markets = st.sampled_from(["on_demand", "spot"])


def figures(cost: Cost) -> list[float]:
    """Return all that must not fall when the price rises, in a fixed order."""
    assert cost.run is not None and cost.time_to_serve is not None
    found = [cost.usd_per_hour, cost.usd_per_month, cost.time_to_serve.usd, cost.run.usd, cost.run.usd_per_serving_hour]
    for each in cost.tokens:
        found += each.usd_per_million_output_tokens
        found += each.effective_usd_per_million_output_tokens or ()
        for even in (each.break_even_output_only, each.break_even):
            found += [even.usd, even.million_output_tokens, *(even.required_utilisation or ())]
    return [figure for figure in found if figure is not None]


@pytest.mark.parametrize("shape", ["local", "local-4x-h200"])
def test_a_local_shape_is_free_and_says_why(shape: str) -> None:
    cost = whole_cost_of(shape)
    assert (cost.usd_per_hour, cost.usd_per_month, cost.usd_per_million_output_tokens) == (0, 0, (0, 0))
    assert cost.basis == "free: the node runs on this machine, nobody bills for it"


def test_a_shape_without_a_price_says_so_and_what_to_set() -> None:
    cost = whole_cost_of("8x-b200-sxm6", cloud="spheron")
    assert (cost.usd_per_hour, cost.usd_per_month, cost.usd_per_million_output_tokens) == (None, None, None)
    assert cost.headline.startswith("no price known (on demand): set cost.live_price")
    assert cost.volume is not None and cost.time_to_serve is not None and cost.time_to_serve.usd is None


def test_a_market_without_a_price_is_not_priced_by_the_other() -> None:
    prices = load().prices
    price = prices.nodes["4x-h200-sxm5"].model_copy(update={"spot": None})
    assert expected(price, prices, CostTerms(), market="spot").usd_per_hour is None


def test_the_clouds_own_price_replaces_that_of_the_list_and_names_its_source() -> None:
    cost = cost_of("8x-h100-sxm5", live_price=LIVE)
    assert cost.usd_per_hour == 29.5
    assert cost.basis.startswith("the cloud's offer, 2026-11-22; ")


@pytest.mark.parametrize("usd", [0, -1, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(usd: float) -> None:
    with pytest.raises(ValidationError, match=r"live_price\.usd_per_hour"):
        CostTerms(live_price={"usd_per_hour": usd, "source": "an offer", "date": "2026-11-22"})  # type: ignore[arg-type]


@pytest.mark.parametrize("utilisation", [0, -0.1, 1.1])
def test_a_utilisation_that_cannot_be_is_refused(utilisation: float) -> None:
    with pytest.raises(ValidationError, match="utilisation"):
        CostTerms(utilisation=utilisation)


def test_measured_throughput_stands_beside_the_assumed_and_has_the_headline() -> None:
    cost = cost_of("4x-h200-sxm5", measured=MEASURED)
    assert cost.throughput_used == "measured"
    assert "of the measured throughput" in cost.headline
    assert cost.usd_per_million_output_tokens == pytest.approx((29.6, 37.0))
    assert tokens_of(cost, "assumed").usd_per_million_output_tokens == pytest.approx((14.8, 21.14), abs=0.01)
    assert [each.throughput.kind for each in cost.tokens] == ["assumed", "seen", "measured"]


def test_what_was_seen_on_another_node_never_has_the_headline() -> None:
    prices = load().prices
    price = prices.nodes["4x-h200-sxm5"].model_copy(update={"assumed_tokens_per_hour": None})
    cost = expected(price, prices, CostTerms())
    assert cost.throughput_used is None and cost.usd_per_million_output_tokens is None
    assert "no throughput of this shape is assumed or was measured" in cost.headline


@pytest.mark.parametrize("kind", ["assumed", "seen"])
def test_no_other_throughput_passes_for_a_measured_one(kind: str) -> None:
    with pytest.raises(ValidationError, match="kind"):
        CostTerms(measured={**MEASURED.model_dump(), "kind": kind})  # type: ignore[arg-type]


def test_a_price_scaled_from_another_shape_says_so() -> None:
    cost = cost_of("3x-h200-sxm5")
    assert cost.headline.startswith("11.10 USD/h on demand (scaled)")
    assert "3 GPUs at the 3.70 USD a GPU of 4x-h200-sxm5" in cost.basis


def test_a_parked_stack_costs_the_rent_of_its_volume() -> None:
    volume = whole_cost_of("4x-h200-sxm5").volume
    assert volume is not None
    assert (volume.usd_per_hour, volume.usd_per_month) == pytest.approx((0.078, 56.16))
    assert "2026-11-01" in volume.basis


def test_a_rent_that_is_not_known_is_no_rent_of_zero() -> None:
    cost = whole_cost_of("4x-h200-sxm5", cloud="verda")
    assert cost.volume is None
    assert any(caveat.startswith("no rent of a volume is counted") for caveat in cost.caveats)
    assert any(caveat.startswith("the price is one of spheron, not of verda") for caveat in cost.caveats)


def test_what_is_not_counted_is_told_until_it_is_said() -> None:
    assert len(cost_of("4x-h200-sxm5", market="spot").caveats) == 4
    told = whole_cost_of("4x-h200-sxm5", market="spot", preemptions_per_day=1, input_tokens_per_output_token=2)
    assert told.caveats == ()


def test_an_unknown_api_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CatalogError, match=r"cost\.api is 'claude', known are: claude-opus-4\.6"):
        cost_of("4x-h200-sxm5", api="claude")


def test_a_cost_is_told_to_the_cent_and_is_exact_inside() -> None:
    cost = cost_of("4x-h200-sxm5")
    assert cost.usd_per_million_output_tokens == pytest.approx((14.8, 14.8 / 0.7))
    assert json.loads(cost.model_dump_json())["usd_per_million_output_tokens"] == [14.8, 21.14]


@given(
    shape=shapes,
    market=markets,
    terms=terms_without_a_price,
    price=st.none() | rates,
    size_gb=st.none() | st.floats(0, 1e6),
)
@example(shape="local", market="on_demand", terms=CostTerms(utilisation=5e-324), price=None, size_gb=None)
@example(
    shape="4x-h200-sxm5",
    market="spot",
    terms=CostTerms(utilisation=5e-324, run_hours=5e-324),
    price=live(5e-324),
    size_gb=0,
)
@example(shape="4x-h200-sxm5", market="on_demand", terms=CostTerms(utilisation=5e-324), price=live(1.7e308), size_gb=1)
def test_whatever_the_terms_the_cost_is_a_document(
    shape: str, market: Market, terms: CostTerms, price: Rate | None, size_gb: float | None
) -> None:
    terms = terms.model_copy(update={"live_price": price})
    cost = cost_of(shape, volume_gb=size_gb, weights_bytes=FP8_BYTES, market=market, **dict(terms))
    document: dict[str, Any] = json.loads(cost.model_dump_json())
    json.dumps(document, allow_nan=False)
    assert Cost.model_validate(document).headline == cost.headline


@given(shape=shapes, market=markets, terms=terms_without_a_price, usd=st.tuples(positive, positive))
def test_a_dearer_node_never_costs_less(shape: str, market: Market, terms: CostTerms, usd: tuple[float, float]) -> None:
    cheap, dear = (
        figures(whole_cost_of(shape, market=market, **dict(terms.model_copy(update={"live_price": live(each)}))))
        for each in sorted(usd)
    )
    assert len(cheap) == len(dear)
    assert all(lower <= higher for lower, higher in zip(cheap, dear, strict=True))


@given(terms=terms_without_a_price, usd=st.floats(0.01, 1000))
def test_a_busier_node_never_costs_more_a_token(terms: CostTerms, usd: float) -> None:
    given_terms = terms.model_copy(update={"live_price": live(usd)})
    idle = whole_cost_of("4x-h200-sxm5", **dict(given_terms)).usd_per_million_output_tokens
    busy = whole_cost_of("4x-h200-sxm5", **{**dict(given_terms), "utilisation": 1.0}).usd_per_million_output_tokens
    assert idle is not None and busy is not None
    assert idle[0] >= busy[0] and idle[1] >= busy[1]


def test_an_empty_entry_of_the_price_list_is_like_none() -> None:
    prices = load().prices
    assert expected(NodePrice(), prices, CostTerms(), VOLUME_GB) == expected(None, prices, CostTerms(), VOLUME_GB)
