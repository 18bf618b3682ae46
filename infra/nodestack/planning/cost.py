"""What a stack costs: by the hour, by the month, and by the million output tokens it is expected to serve."""

from pydantic import BaseModel, ConfigDict

from nodestack.catalog.prices import NodePrice


class Cost(BaseModel):
    """Expected cost of a stack, as its outputs show it.

    Attributes:
        usd_per_hour: The node, while it exists.
        usd_per_month: The same over the catalogue's month.
        usd_per_million_output_tokens: Best and worst of the assumed throughput, or None when nothing is assumed.
        basis: Where price and throughput come from, or why the stack is free.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_hour: float
    usd_per_month: float
    usd_per_million_output_tokens: tuple[float, float] | None
    basis: str


def expected(price: NodePrice, hours_per_month: int) -> Cost:
    """Return the expected cost of an on-demand node.

    Args:
        price: The node's entry in the price list.
        hours_per_month: Hours a month is counted with.

    Raises:
        ValueError: The entry has neither a price nor a reason to be free.
    """
    if price.free_because:
        return Cost(
            usd_per_hour=0, usd_per_month=0, usd_per_million_output_tokens=(0, 0), basis=f"free: {price.free_because}"
        )
    if price.on_demand is None:
        raise ValueError("a price needs on_demand or free_because")
    rate = price.on_demand
    basis = f"{rate.source}, {rate.date}"
    tokens = price.assumed_tokens_per_hour
    per_million = None
    if tokens:
        per_million = (
            round(rate.usd_per_hour / tokens.high * 1e6, 2),
            round(rate.usd_per_hour / tokens.low * 1e6, 2),
        )
        basis += f"; throughput assumed by {tokens.source}"
    return Cost(
        usd_per_hour=rate.usd_per_hour,
        usd_per_month=round(rate.usd_per_hour * hours_per_month, 2),
        usd_per_million_output_tokens=per_million,
        basis=basis,
    )
