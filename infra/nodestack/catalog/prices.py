"""What nodes, volumes and APIs cost, what nodes are assumed to serve, and what a cloud bills besides."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nodestack.catalog.entry import Entry, Fact, Positive

Market = Literal["on_demand", "spot"]
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Rate(Fact):
    """A price of a whole node.

    Attributes:
        usd_per_hour: Price in USD an hour, of all its machines together.
        cloud: Who asks it; its billing rules and volume rent are in `Prices.clouds`.
        derived: Whether it was scaled from another shape's price a GPU; the source says from which.
    """

    usd_per_hour: Price
    cloud: str | None = None
    derived: bool = False


class Throughput(Fact):
    """Output tokens an hour of a whole node at full use, from the worst to the best.

    Assumed, seen and measured throughput are types of their own, so that none passes for another.

    Attributes:
        low: At worst.
        high: At best.
    """

    low: Positive
    high: Positive

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low}, more than high, {self.high}: swap them")
        return self


class AssumedThroughput(Throughput):
    """What somebody expects of a shape."""

    kind: Literal["assumed"] = "assumed"


class SeenThroughput(Throughput):
    """What somebody saw on one node of this shape, elsewhere: never used for a verdict.

    Attributes:
        conditions: Under which it was seen.
    """

    kind: Literal["seen"] = "seen"
    conditions: str


class MeasuredThroughput(Throughput):
    """What was measured on the very stack that is planned.

    Attributes:
        kind: Always `measured`; may be left out.
    """

    kind: Literal["measured"] = "measured"


class NodePrice(Entry):
    """What a node costs, or why it costs nothing; a price that nobody knows stays absent."""

    on_demand: Rate | None = None
    spot: Rate | None = None
    assumed_tokens_per_hour: AssumedThroughput | None = None
    seen_tokens_per_hour: SeenThroughput | None = None
    free_because: str | None = None


class ApiPrice(Fact):
    """What an API asks, in USD per million tokens, without discounts for caching or batches."""

    usd_per_million_input_tokens: Price
    usd_per_million_output_tokens: Price


class Quantity(Fact):
    """A sourced number; the field that holds it names its unit."""

    value: Price


class CloudBilling(Entry):
    """How a cloud bills besides the price of a node; None is a rule that is not known.

    Attributes:
        volume_usd_per_gb_hour: Rent of a volume, attached or not.
        minimum_runtime_minutes: A node cannot be deleted earlier, and is billed for it.
        granularity_minutes: Time is billed in multiples of this.
    """

    volume_usd_per_gb_hour: Quantity | None = None
    minimum_runtime_minutes: Quantity | None = None
    granularity_minutes: Quantity | None = None


class Assumptions(Entry):
    """What is taken where a stack says nothing.

    Attributes:
        api: Name of the API that a stack is compared with.
        boot_minutes: From the order of a node until it takes SSH.
        bandwidth_gbit_s: At which weights are fetched.
        load_gb_s: At which weights go from the volume to the GPUs.
    """

    api: str
    boot_minutes: Quantity
    bandwidth_gbit_s: Quantity
    load_gb_s: Quantity


class Prices(Entry):
    """All prices.

    Attributes:
        nodes: By shape; a shape that is absent has no known price.
        apis: By name.
        clouds: By name; a cloud that is absent bills by rules that are not known.
        hours_per_month: Hours that a month is counted with.
    """

    nodes: dict[str, NodePrice]
    apis: dict[str, ApiPrice]
    clouds: dict[str, CloudBilling]
    assumptions: Assumptions
    hours_per_month: Positive

    @model_validator(mode="after")
    def _known_api(self) -> Self:
        if self.assumptions.api not in self.apis:
            raise ValueError(f"assumptions.api is {self.assumptions.api!r}, known are: {', '.join(sorted(self.apis))}")
        return self
