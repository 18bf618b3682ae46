import re

import pytest
from pydantic import ValidationError

from nodestack.catalog import load
from nodestack.catalog.prices import AssumedThroughput, Prices, Rate

PRICES = load().prices
DERIVED = [
    pytest.param(shape, market, id=f"{shape}-{market}")
    for shape, price in PRICES.nodes.items()
    for market in ("on_demand", "spot")
    if (rate := getattr(price, market)) and rate.derived
]


def test_prices_that_nobody_knows_are_absent() -> None:
    assert not {"8x-b200-sxm6", "8x-h100-pcie", "1x-l40s-pcie"} & PRICES.nodes.keys()


@pytest.mark.parametrize(("shape", "market"), DERIVED)
def test_a_scaled_price_is_its_gpus_times_the_price_a_gpu_of_the_shape_it_names(shape: str, market: str) -> None:
    rate = getattr(PRICES.nodes[shape], market)
    said = re.fullmatch(r"(\d+) GPUs at the ([\d.]+) USD a GPU of (\S+)", rate.source)
    assert said
    gpus, each, base = int(said[1]), float(said[2]), said[3]
    assert rate.usd_per_hour == pytest.approx(gpus * each)
    assert getattr(PRICES.nodes[base], market).usd_per_hour == pytest.approx(each * load().shape(base).gpu_count)
    assert load().shape(shape).gpu_count * load().shape(shape).machines == gpus
    assert load().shape(shape).gpu == load().shape(base).gpu


def test_a_scaled_shape_has_no_throughput_that_nobody_assumed() -> None:
    assert DERIVED
    assert all(PRICES.nodes[str(each.values[0])].assumed_tokens_per_hour is None for each in DERIVED)


def test_the_throughput_seen_elsewhere_follows_from_the_steps_that_were_logged() -> None:
    seen = PRICES.nodes["4x-h200-sxm5"].seen_tokens_per_hour
    assert seen is not None
    assert (seen.low, seen.high) == pytest.approx((13 / 0.024 * 3600, 24 / 0.038 * 3600), rel=0.001)


def test_the_assumed_rates_follow_from_the_transfer_they_were_taken_from() -> None:
    assumed = PRICES.assumptions
    assert assumed.bandwidth_gbit_s.value == pytest.approx(403.8 * 8 / (25 * 60), rel=0.005)
    assert assumed.load_gb_s.value == pytest.approx(403.8 / 90, rel=0.005)


def test_every_cloud_that_asks_a_price_has_billing_rules() -> None:
    rates = [rate for price in PRICES.nodes.values() for rate in (price.on_demand, price.spot) if rate]
    assert {rate.cloud for rate in rates} == {"spheron"} <= PRICES.clouds.keys()


@pytest.mark.parametrize("usd", [0, -31.36, float("inf"), float("nan")])
def test_a_price_that_nobody_can_ask_is_refused(usd: float) -> None:
    with pytest.raises(ValidationError, match="usd_per_hour"):
        Rate.model_validate({"usd_per_hour": usd, "source": "an example", "date": "2026-01-01"})


def test_a_throughput_whose_worst_is_above_its_best_is_refused() -> None:
    with pytest.raises(ValidationError, match="low is 2, more than high, 1: swap them"):
        AssumedThroughput.model_validate({"low": 2, "high": 1, "source": "an example", "date": "2026-01-01"})


def test_the_api_to_compare_with_has_to_be_one_of_the_list() -> None:
    data = PRICES.model_dump()
    data["assumptions"]["api"] = "gone"
    with pytest.raises(ValidationError, match=r"assumptions.api is 'gone', known are: claude-opus-4.6"):
        Prices.model_validate(data)
