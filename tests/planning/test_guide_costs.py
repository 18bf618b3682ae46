"""Every figure of the guide's cost analysis follows from the price list by one rule; what does not follow is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.catalog import load
from nodestack.planning import tuning
from tests.planning.costs import cost_of, tokens_of, whole_cost_of

GUIDE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("guide_costs.yaml").read_text(encoding="utf-8"))
each_row = pytest.mark.parametrize("row", GUIDE["rows"], ids=lambda row: f"{row['shape']}-{row['market']}")


@each_row
def test_a_row_of_the_guide_follows_from_the_price_list(row: dict[str, Any]) -> None:
    cost = cost_of(row["shape"], market=row["market"])
    assumed = tokens_of(cost, "assumed")
    assert cost.usd_per_hour == row["usd_per_hour"]
    assert [assumed.throughput.low, assumed.throughput.high] == row["tokens_per_hour"]
    assert [round(usd) for usd in assumed.usd_per_million_output_tokens] == row["usd_per_million"]
    assert cost.usd_per_million_output_tokens == assumed.usd_per_million_output_tokens
    assert str(GUIDE["date"]) in cost.basis


@each_row
def test_the_price_of_a_gpu_follows_from_the_price_of_the_node(row: dict[str, Any]) -> None:
    cost = cost_of(row["shape"], market=row["market"])
    assert cost.usd_per_hour is not None
    assert load().shape(row["shape"]).gpu_count == row["gpus"]
    assert round(cost.usd_per_hour / row["gpus"], 2) == row["usd_per_gpu_hour"]


def test_the_api_is_priced_as_the_guide_says() -> None:
    api = load().prices.apis[GUIDE["api"]["name"]]
    assert api.usd_per_million_input_tokens == GUIDE["api"]["usd_per_million_input_tokens"]
    assert api.usd_per_million_output_tokens == GUIDE["api"]["usd_per_million_output_tokens"]
    assert load().prices.assumptions.api == GUIDE["api"]["name"]


def test_the_guide_breaks_even_where_it_says() -> None:
    said = GUIDE["break_even"]
    cost = cost_of(said["shape"], market=said["market"])
    even = tokens_of(cost, "assumed").break_even_output_only
    assert load().prices.hours_per_month == GUIDE["hours_per_month"] == even.hours
    assert cost.usd_per_month is not None
    assert round(cost.usd_per_month) == said["usd_per_month"]
    assert round(even.million_output_tokens) == said["million_output_tokens"]
    assert even.ceiling_million_output_tokens[1] == said["ceiling_million_output_tokens"]
    assert even.required_utilisation is not None
    assert round(even.required_utilisation[0] * 10) * 10 == said["required_utilisation_percent_to_ten"]


def test_8x_h100_on_demand_never_break_even_on_output_alone() -> None:
    said = GUIDE["never_breaks_even"]
    assert tokens_of(cost_of(said["shape"], market=said["market"]), "assumed").break_even_output_only.verdict == "never"


def test_spot_is_as_far_below_the_api_as_the_guide_says() -> None:
    said = GUIDE["below_the_api"]
    below = tokens_of(cost_of(said["shape"], market=said["market"]), "assumed").below_api
    assert [round(share * 100) for share in below] == said["percent"]


def test_the_api_fees_of_an_hour_are_those_of_the_guide() -> None:
    said = GUIDE["api_fees_of_an_hour"]
    assumed = load().prices.nodes[said["shape"]].assumed_tokens_per_hour
    api = load().prices.apis[GUIDE["api"]["name"]]
    assert assumed is not None
    fees = [tokens / 1e6 * api.usd_per_million_output_tokens for tokens in (assumed.low, assumed.high)]
    assert fees == said["usd"]


@pytest.mark.parametrize("said", GUIDE["tuning_floors"], ids=lambda said: said["approach"])
def test_both_statements_on_tuning_are_kept(said: dict[str, Any]) -> None:
    floors = tuning.floor(load().tuning, said["approach"])
    assert [list(statement.shapes) for statement in floors.statements] == said["stated"]
    assert floors.contradictory


def test_the_accuracy_that_precisions_lose_is_what_the_guide_says() -> None:
    losses = load().tuning.accuracy_losses
    assert {name: [loss.low_percent, loss.high_percent] for name, loss in losses.items()} == GUIDE[
        "accuracy_loss_percent"
    ]


def test_the_guides_minutes_of_fetching_do_not_follow_from_its_line() -> None:
    said = GUIDE["fetch_claim"]
    start = cost_of(
        "8x-h100-sxm5", weights_bytes=said["size_gb"] * 10**9, bandwidth_gbit_s=said["bandwidth_gbit_s"]
    ).time_to_serve
    assert start is not None and start.fetch_minutes is not None
    assert start.fetch_minutes == pytest.approx(5.33, abs=0.01)
    assert start.fetch_minutes < min(said["minutes"])


def test_the_60_percent_of_the_guide_are_those_of_the_best_throughput_only() -> None:
    even = tokens_of(whole_cost_of("4x-h200-sxm5"), "assumed").break_even
    assert even.required_utilisation == pytest.approx((0.596, 0.851), abs=0.001)
    assert even.million_output_tokens == pytest.approx(428.5, abs=0.1)


def test_at_60_percent_use_a_node_at_the_worst_throughput_is_dearer_than_the_api() -> None:
    tokens = tokens_of(whole_cost_of("4x-h200-sxm5", utilisation=0.6), "assumed")
    assert tokens.effective_usd_per_million_output_tokens == pytest.approx((24.83, 35.47), abs=0.01)
    assert tokens.effective_below_api == pytest.approx((-0.419, 0.007), abs=0.001)


def test_with_3_input_tokens_for_each_output_token_the_break_even_moves_to_268_million() -> None:
    even = tokens_of(whole_cost_of("4x-h200-sxm5", input_tokens_per_output_token=3), "assumed").break_even
    assert even.million_output_tokens == pytest.approx(267.8, abs=0.1)
    assert even.required_utilisation == pytest.approx((0.372, 0.532), abs=0.001)


def test_with_input_counted_8x_h100_on_demand_do_break_even_at_their_best() -> None:
    tokens = tokens_of(whole_cost_of("8x-h100-sxm5", input_tokens_per_output_token=3), "assumed")
    assert (tokens.break_even_output_only.verdict, tokens.break_even.verdict) == ("never", "at_best")
    assert tokens.below_api == pytest.approx((1 - 52.27 / 25, 1 - 34.84 / 25), abs=0.001)
    assert tokens.effective_below_api == pytest.approx((1 - 52.46 / 40, 1 - 34.97 / 40), abs=0.001)
