"""What the volume of the weights costs, whether a node runs or not."""

from nodestack.catalog.prices import Prices
from nodestack.planning.cost_figures import Amount, Figures, SmallUsd, Usd


class VolumeRent(Figures):
    """Rent of a volume, attached or parked: it is billed as long as it exists, and is all that a parked stack costs.

    Attributes:
        size_gb: Size in GB (10^9 bytes).
        usd_per_hour: Its rent.
        usd_per_month: The same over the price list's month.
        basis: Where the rent comes from.
    """

    size_gb: Amount
    usd_per_hour: SmallUsd
    usd_per_month: Usd
    basis: str


def rent(size_gb: float | None, cloud: str | None, prices: Prices) -> VolumeRent | None:
    """Return the rent of a volume, or None when there is no volume or the cloud's rent is not known."""
    billing = prices.clouds.get(cloud or "")
    if size_gb is None or billing is None or billing.volume_usd_per_gb_hour is None:
        return None
    rate = billing.volume_usd_per_gb_hour
    return VolumeRent(
        size_gb=size_gb,
        usd_per_hour=size_gb * rate.value,
        usd_per_month=size_gb * rate.value * prices.hours_per_month,
        basis=f"{rate.value:g} USD a GB and hour on {cloud}: {rate.source}, {rate.date}",
    )
