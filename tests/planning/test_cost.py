import pytest

from nodestack.catalog import load
from nodestack.planning.cost import expected


@pytest.mark.parametrize(
    ("shape", "per_hour", "per_month", "per_million"),
    [("8x-h100-sxm5", 31.36, 22579.20, (34.84, 52.27)), ("4x-h200-sxm5", 14.80, 10656.00, (14.80, 21.14))],
)
def test_on_demand_cost_follows_the_price_list(
    shape: str, per_hour: float, per_month: float, per_million: tuple[float, float]
) -> None:
    cost = expected(load().price(shape), load().prices.hours_per_month)
    assert (cost.usd_per_hour, cost.usd_per_month) == (per_hour, per_month)
    assert cost.usd_per_million_output_tokens == per_million
    assert "2026-06-29" in cost.basis
