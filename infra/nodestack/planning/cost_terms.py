"""What a stack says about its cost: how busy, beside which API, for how long."""

from typing import Annotated

from pydantic import Field

from nodestack.catalog.entry import Entry
from nodestack.catalog.prices import MeasuredThroughput, Rate

Minutes = Annotated[float, Field(ge=0, le=10_080)]


class CostTerms(Entry):
    """Terms that a cost is reckoned with; left out, the price list's assumptions hold, and the cost says so.

    Attributes:
        utilisation: Share of full throughput that is really asked for, above 0, at most 1.
        input_tokens_per_output_token: What the API would bill besides the output; 0 compares output alone.
        api: API of the price list to compare with.
        cloud: Cloud whose billing rules hold; left out, the one that the price is of.
        live_price: Price that the cloud itself gave, with source and date, in place of the price list's.
        measured: Throughput measured on this very stack, with source and date.
        run_hours: Hours from a node's order to its deletion; left out, a month.
        preemptions_per_day: How often the cloud takes a spot node back; left out, none are counted.
        boot_minutes: From the order of a node until it takes SSH.
        fetch_minutes: Fetching the weights; left out, their size over `bandwidth_gbit_s`.
        load_minutes: Loading the weights to the GPUs; left out, their size over `load_gb_s`.
        bandwidth_gbit_s: At which weights are fetched.
        load_gb_s: At which weights are loaded, in GB (10^9 bytes) a second.
    """

    utilisation: Annotated[float, Field(gt=0, le=1)] = 1.0
    input_tokens_per_output_token: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    api: str | None = None
    cloud: str | None = None
    live_price: Rate | None = None
    measured: MeasuredThroughput | None = None
    run_hours: Annotated[float, Field(gt=0, le=87_600)] | None = None
    preemptions_per_day: Annotated[float, Field(ge=0, le=1440)] | None = None
    boot_minutes: Minutes | None = None
    fetch_minutes: Minutes | None = None
    load_minutes: Minutes | None = None
    bandwidth_gbit_s: Annotated[float, Field(ge=0.001, le=100_000)] | None = None
    load_gb_s: Annotated[float, Field(ge=0.001, le=100_000)] | None = None
