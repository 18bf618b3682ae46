"""What a cloud sells: offers, what one asks for, and what an account has left."""

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from nodestack.clouds.accounts import Frozen

Market: TypeAlias = Literal["on_demand", "spot"]
"""On demand a node stays until it is deleted; on the spot market its cloud may take it away at any time."""


class OfferQuery(Frozen):
    """Which machines are wanted.

    Attributes:
        gpu: Model as clouds write it somewhere in their name of it, e.g. "H100".
        gpu_count: GPUs of one machine, exactly.
        sxm: Whether only GPUs on an SXM board will do, which NVLink joins.
        market: How it is sold.
        region: Only this region; None for any.
    """

    gpu: Annotated[str, Field(min_length=1)]
    gpu_count: Annotated[int, Field(gt=0)]
    sxm: bool
    market: Market = "on_demand"
    region: str | None = None


class Offer(Frozen):
    """A machine that a cloud sells.

    Attributes:
        offer_id: The cloud's id; what a request names.
        provider: Who runs the machine, where a cloud sells those of others.
        region: Where it stands; a volume of another region cannot be attached.
        gpu: The cloud's own name of the GPU model, as a request repeats it.
        gpu_count: GPUs of one machine.
        interconnect: Board or link of the GPUs, e.g. "SXM5" or "PCIe"; "" where the cloud does not say.
        market: How it is sold.
        usd_per_hour: Price of the whole machine in USD an hour.
        available: Whether the cloud claims to have one; only an order tells.
        images: Operating systems that a request may name; empty where the cloud lists none.
        supports_cloud_init: Whether user data given with the order is said to reach the machine.
        minimum_runtime_minutes: The machine cannot be deleted earlier; None where none is known.
    """

    offer_id: str
    provider: str
    region: str
    gpu: str
    gpu_count: Annotated[int, Field(gt=0)]
    interconnect: str = ""
    market: Market = "on_demand"
    usd_per_hour: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    available: bool = True
    images: tuple[str, ...] = ()
    supports_cloud_init: bool = True
    minimum_runtime_minutes: Annotated[int, Field(ge=0)] | None = None


class Balance(Frozen):
    """What an account can still spend.

    Attributes:
        usd: Prepaid money left in USD.
        holder: Who it belongs to, e.g. the id of a team.
    """

    usd: Annotated[float, Field(allow_inf_nan=False)]
    holder: str = ""


def is_model(gpu: str, name: str) -> bool:
    """Return whether a cloud's name of a GPU speaks of this model, and not of one whose name contains it.

    >>> is_model("H200", "H200_SXM5"), is_model("H200", "NVIDIA GH200"), is_model("H100", "8H100.80S.176V")
    (True, False, True)
    """
    pattern = rf"(?<![A-Z]){re.escape(gpu)}(?=[^A-Z0-9]|SXM|PCIE|NVL|$)"
    return re.search(pattern, name, re.IGNORECASE) is not None
