"""What the local cloud offers: each recorded hardware as a machine that costs nothing."""

from nodestack.clouds.local import hardware
from nodestack.clouds.offers import Offer, OfferQuery, is_model


def matching(query: OfferQuery) -> tuple[Offer, ...]:
    """Return the unbroken recorded hardware that is what a query asks for."""
    profiles = {name: hardware.load(name) for name in hardware.profiles()}
    offers = (_offer(name, profile) for name, profile in profiles.items() if _is_whole(profile))
    return tuple(
        offer
        for offer in offers
        if is_model(query.gpu, offer.gpu)
        and offer.gpu_count == query.gpu_count
        and offer.market == query.market
        and (offer.interconnect == "SXM" or not query.sxm)
        and query.region in (None, offer.region)
    )


def _is_whole(profile: hardware.Profile) -> bool:
    broken = (
        profile.pairs,
        profile.inactive_links,
        profile.missing_gpus,
        profile.uncorrectable_errors,
        profile.pending_row_remaps,
    )
    return not any(broken) and profile.fabric.state == "Completed"


def _offer(name: str, profile: hardware.Profile) -> Offer:
    return Offer(
        offer_id=name,
        provider="local",
        region="local",
        gpu=profile.gpu.name,
        gpu_count=len(profile.bus_ids),
        interconnect="SXM" if profile.links_per_gpu else "PCIe",
        usd_per_hour=0,
    )
