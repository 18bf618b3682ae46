"""The cost of a catalogue shape on given terms."""

from typing import Any

from nodestack.catalog import load
from nodestack.catalog.prices import Market
from nodestack.planning.cost import Cost, expected
from nodestack.planning.cost_terms import CostTerms
from nodestack.planning.cost_tokens import TokenCost

FP8_BYTES = 403_800_000_000
VOLUME_GB = 600.0


def cost_of(
    shape: str,
    *,
    volume_gb: float | None = None,
    weights_bytes: int | None = None,
    market: Market = "on_demand",
    **terms: Any,
) -> Cost:
    """Return the expected cost of a shape of the catalogue."""
    prices = load().prices
    return expected(prices.nodes.get(shape), prices, CostTerms(**terms), volume_gb, weights_bytes, market=market)


def whole_cost_of(shape: str, **terms: Any) -> Cost:
    """Return the same with a volume and weights."""
    return cost_of(shape, volume_gb=VOLUME_GB, weights_bytes=FP8_BYTES, **terms)


def tokens_of(cost: Cost, kind: str) -> TokenCost:
    """Return the prices of tokens at one kind of throughput."""
    (found,) = (each for each in cost.tokens if each.throughput.kind == kind)
    return found
