"""Which offer to take: those that fit, cheapest first; pure, so that a preview and an order choose alike."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from nodestack.clouds.base import Frozen, Market, Offer, OfferQuery, Volume
from nodestack.clouds.offers import is_model
from nodestack.errors import CloudError

if TYPE_CHECKING:
    # The plugin chooses, too, and starts without the catalogue.
    from nodestack.catalog.nodes import Shape


class Wish(Frozen):
    """What a machine must be, and what it may cost.

    Attributes:
        query: Its GPUs, its market and, where that is asked for, its region.
        image: Operating system, as the cloud calls it; "" takes any.
        max_usd_per_hour: What it may cost in USD an hour; None sets no limit.
        volume_provider: Only machines of this provider reach the volume; "" for any.
        volume_region: Only machines of this region reach the volume; "" for any.
        cloud_init: Whether it must take user data: without it, it cannot be given the host key that it is known by.
    """

    query: OfferQuery
    image: str = ""
    max_usd_per_hour: float | None = None
    volume_provider: str = ""
    volume_region: str = ""
    cloud_init: bool = True

    def near(self, volume: Volume) -> "Wish":
        """Return the wish for a machine that reaches this volume."""
        return self.model_copy(update={"volume_provider": volume.provider, "volume_region": volume.region})


def query_of(shape: "Shape", market: Market = "on_demand", region: str | None = None) -> OfferQuery:
    """Return what to ask a cloud for to get a shape of the catalogue.

    Raises:
        CloudError: The shape is of several machines, which no cloud sells as one.

    >>> from nodestack.catalog.nodes import Shape
    >>> query_of(Shape(gpu="h100-80gb-sxm5", gpu_count=8, nvswitch=True, runs_on="gpu")).gpu
    'H100'
    """
    if shape.machines > 1:
        raise CloudError(f"the shape is of {shape.machines} machines, clouds sell one at a time: choose another shape")
    model, _, rest = shape.gpu.partition("-")
    return OfferQuery(gpu=model.upper(), gpu_count=shape.gpu_count, sxm="sxm" in rest, market=market, region=region)


def fitting(offers: Iterable[Offer], wish: Wish) -> tuple[Offer, ...]:
    """Return the offers that fit, cheapest first; of one price in the order of provider, region and id."""
    fit = [offer for offer in offers if not misfits(offer, wish)]
    return tuple(sorted(fit, key=lambda one: (one.usd_per_hour, one.provider, one.region, one.offer_id)))


def why_none(offers: Iterable[Offer], wish: Wish) -> str:
    """Return in one line why no offer fits: what was asked for, and how many failed for which reasons first."""
    asked = wish.query
    what = f"{asked.gpu_count}x {asked.gpu}{' SXM' if asked.sxm else ''}, {asked.market.replace('_', ' ')}"
    first: dict[str, list[Offer]] = {}
    for offer in offers:
        for reason in misfits(offer, wish)[:1]:
            first.setdefault(reason, []).append(offer)
    if not first:
        return f"the cloud offers no {what}"
    reasons = (
        f"{len(them)} {reason} (from {min(one.usd_per_hour for one in them):.2f} USD/h)"
        for reason, them in sorted(first.items())
    )
    return f"no offer of {what} will do: {', '.join(reasons)}"


def misfits(offer: Offer, wish: Wish) -> list[str]:
    """Return in which ways an offer does not fit, in words that follow a number of offers; nothing where it fits."""
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("of other GPUs", lambda: is_model(wish.query.gpu, offer.gpu)),
        ("of another number of GPUs", lambda: offer.gpu_count == wish.query.gpu_count),
        ("without NVLink boards", lambda: _is_sxm(offer) or not wish.query.sxm),
        ("of the other market", lambda: offer.market == wish.query.market),
        ("of another region than asked for", lambda: wish.query.region in (None, offer.region)),
        ("out of the volume's reach", lambda: _reaches(offer, wish)),
        ("without the image", lambda: not wish.image or not offer.images or wish.image in offer.images),
        ("that take no host key", lambda: offer.supports_cloud_init or not wish.cloud_init),
        ("sold out", lambda: offer.available),
        (
            f"above {wish.max_usd_per_hour or 0:.2f} USD/h",
            lambda: wish.max_usd_per_hour is None or offer.usd_per_hour <= wish.max_usd_per_hour,
        ),
    )
    return [reason for reason, holds in checks if not holds()]


def _is_sxm(offer: Offer) -> bool:
    return "SXM" in f"{offer.interconnect} {offer.gpu}".upper()


def _reaches(offer: Offer, wish: Wish) -> bool:
    return wish.volume_provider in ("", offer.provider) and wish.volume_region in ("", offer.region)
