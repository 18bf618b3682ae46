"""What Node and Volume are told of the machine that is bought: its GPUs, its market, where, and up to what price."""

from typing import Annotated

from pydantic import Field

from nodestack.clouds.offers import Market, OfferQuery
from nodestack.lifecycle.choose import Wish
from nodestack.plugin.resources.base import Args, Typed


class Gpus(Typed):
    """The GPUs of a node shape; the program reads them off the catalogue, which the plugin starts without.

    Attributes:
        gpu: Model as clouds write it somewhere in their name of it, e.g. "H100".
        gpu_count: GPUs of one machine, exactly.
        sxm: Whether only GPUs on an SXM board will do, which NVLink joins.
    """

    gpu: Annotated[str, Field(min_length=1)]
    gpu_count: Annotated[int, Field(gt=0)]
    sxm: bool


class PurchaseArgs(Args):
    """Which machine is bought, on clouds that sell more than one.

    Attributes:
        wish: Its GPUs; None where nothing is chosen, since the cloud has one thing only.
        market: How it is sold.
        region: Where the next one is bought, as the cloud calls it; None for anywhere.
        image: Operating system of the next one, as the cloud calls it; "" takes any.
        max_usd_per_hour: The next one is not ordered at a higher price in USD an hour; None sets no limit.
    """

    wish: Gpus | None = None
    market: Market = "on_demand"
    region: str | None = None
    image: str = ""
    max_usd_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def machine(self) -> Wish | None:
        """Return what is looked for among a cloud's offers, None where nothing is chosen."""
        if self.wish is None:
            return None
        query = OfferQuery(
            gpu=self.wish.gpu,
            gpu_count=self.wish.gpu_count,
            sxm=self.wish.sxm,
            market=self.market,
            region=self.region,
        )
        return Wish(query=query, image=self.image, max_usd_per_hour=self.max_usd_per_hour)
