"""What nodes cost by the hour, and what others ask for the same tokens."""

from typing import Annotated

from pydantic import Field

from nodestack.catalog.entry import Entry, Fact, Positive


class Rate(Fact):
    """A price in USD an hour for a whole node."""

    usd_per_hour: Annotated[float, Field(gt=0)]


class Throughput(Fact):
    """Output tokens an hour, as a range that somebody assumed."""

    low: Positive
    high: Positive


class NodePrice(Entry):
    """What a node costs, or why it costs nothing."""

    on_demand: Rate | None = None
    spot: Rate | None = None
    assumed_tokens_per_hour: Throughput | None = None
    free_because: str | None = None


class Prices(Entry):
    """All prices, and the hours a month is counted with."""

    nodes: dict[str, NodePrice]
    hours_per_month: Positive
