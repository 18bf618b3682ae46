"""Which machine is bought, as inputs of the volume and the node alike."""

from dataclasses import dataclass
from typing import Any

from nodestack.clouds.offers import OfferQuery


@dataclass(frozen=True)
class Purchase:
    """What is looked for among a cloud's offers.

    Attributes:
        query: GPUs, market and region.
        image: Operating system, as the cloud calls it; "" takes any.
        max_usd_per_hour: What it may cost in USD an hour; None sets no limit.
    """

    query: OfferQuery
    image: str = ""
    max_usd_per_hour: float | None = None

    def inputs(self) -> dict[str, Any]:
        """Return it by the names of the plugin's properties; what is not asked for is left out."""
        asked = {
            "wish": {"gpu": self.query.gpu, "gpuCount": self.query.gpu_count, "sxm": self.query.sxm},
            "market": self.query.market,
            "region": self.query.region,
            "image": self.image,
            "maxUsdPerHour": self.max_usd_per_hour,
        }
        return {name: value for name, value in asked.items() if value not in (None, "")}
