"""The hours of a node: billed from its order, serving later, and not at all while it starts again."""

import math

from nodestack.catalog.prices import Assumptions, CloudBilling, Market, Quantity
from nodestack.planning.cost_figures import Amount, Figures, Share, Usd
from nodestack.planning.cost_terms import CostTerms

MINUTES_PER_HOUR = 60
HOURS_PER_DAY = 24


class TimeToServe(Figures):
    """From the order of a node to its first token; billed, as the node exists.

    Attributes:
        boot_minutes: Until it takes SSH.
        fetch_minutes: Fetching the weights to an empty volume; None when their size is not known.
        load_minutes: Loading them to the GPUs; None when their size is not known.
        total_minutes: Of those that are known.
        usd: Price of that time; None when the node's price is not known.
        basis: Where each number comes from.
    """

    boot_minutes: Amount
    fetch_minutes: Amount | None
    load_minutes: Amount | None
    total_minutes: Amount
    usd: Usd | None
    basis: str


class Preemptions(Figures):
    """What the cloud's taking nodes back costs.

    Attributes:
        per_day: How often.
        minutes_lost_each: Boot and load again; the weights are on the volume, they are not fetched again.
        serving_share: Share of the billed hours that remain for serving, 0 to 1.
        basis: Where the numbers come from.
    """

    per_day: Amount
    minutes_lost_each: Amount
    serving_share: Share
    basis: str


class Run(Figures):
    """One node from its order to its deletion.

    Attributes:
        hours: How long it exists.
        charged_hours: What of it is billed: never less than the minimum runtime, in the cloud's steps.
        serving_hours: What remains of it once it serves, less what preemptions take.
        node_usd: The node.
        volume_usd: The volume's rent for the same hours; 0 when no volume is counted.
        usd: Both.
        usd_per_serving_hour: Both over the serving hours; None when it never serves.
        basis: Where the rules come from.
    """

    hours: Amount
    charged_hours: Amount
    serving_hours: Amount
    node_usd: Usd
    volume_usd: Usd
    usd: Usd
    usd_per_serving_hour: Usd | None
    basis: str


def charged_hours(hours: float, billing: CloudBilling) -> float:
    """Return the hours that a cloud bills for a node that exists for `hours`.

    >>> twenty = Quantity(value=20, source="an example", date="2026-01-01")
    >>> charged_hours(0.1, CloudBilling(minimum_runtime_minutes=twenty)) * 60
    20.0
    """
    minutes = hours * MINUTES_PER_HOUR
    if step := billing.granularity_minutes:
        # Rounded first, or 3 minutes that float arithmetic made 3.0000000000000004 would be billed as 4.
        minutes = math.ceil(round(minutes / step.value, 6)) * step.value
    if least := billing.minimum_runtime_minutes:
        minutes = max(minutes, least.value)
    return minutes / MINUTES_PER_HOUR


def time_to_serve(
    terms: CostTerms, assumptions: Assumptions, weights_bytes: int | None, usd_per_hour: float | None
) -> TimeToServe:
    """Return how long a new node on an empty volume takes until it serves, and what that costs.

    Args:
        terms: Minutes and rates that the stack gives.
        assumptions: Those that hold where it gives none.
        weights_bytes: Size of the weights, or None when it is not known.
        usd_per_hour: The node's price, or None when it is not known.
    """
    boot, boot_basis = _given_or(terms.boot_minutes, assumptions.boot_minutes)
    bandwidth, fetch_basis = _given_or(terms.bandwidth_gbit_s, assumptions.bandwidth_gbit_s)
    loading, load_basis = _given_or(terms.load_gb_s, assumptions.load_gb_s)
    fetch, fetch_basis = _moving(
        terms.fetch_minutes, weights_bytes, bandwidth / 8, f"{bandwidth:g} Gbit/s, {fetch_basis}"
    )
    load, load_basis = _moving(terms.load_minutes, weights_bytes, loading, f"{loading:g} GB/s, {load_basis}")
    total = boot + (fetch or 0) + (load or 0)
    return TimeToServe(
        boot_minutes=boot,
        fetch_minutes=fetch,
        load_minutes=load,
        total_minutes=total,
        usd=None if usd_per_hour is None else usd_per_hour * total / MINUTES_PER_HOUR,
        basis=f"boot: {boot_basis}; fetch: {fetch_basis}; load: {load_basis}",
    )


def preemptions(terms: CostTerms, market: Market, start: TimeToServe) -> Preemptions:
    """Return what preemptions take from the hours of a node; nothing on demand."""
    per_day, basis = terms.preemptions_per_day or 0.0, "given by the stack"
    if market == "on_demand":
        per_day, basis = 0.0, "nodes on demand are not taken back"
    elif terms.preemptions_per_day is None:
        basis = "none are counted, no rate is known: set preemptions_per_day"
    lost = start.boot_minutes + (start.load_minutes or 0)
    share = max(0.0, 1 - per_day * lost / MINUTES_PER_HOUR / HOURS_PER_DAY)
    return Preemptions(per_day=per_day, minutes_lost_each=lost, serving_share=share, basis=basis)


def run(
    hours: float,
    usd_per_hour: tuple[float, float],
    billing: CloudBilling,
    lost: tuple[TimeToServe, Preemptions],
) -> Run:
    """Return what a node and its volume cost over one run, and for how much of it they serve.

    Args:
        hours: From the order of the node to its deletion.
        usd_per_hour: Price of the node, rent of the volume.
        billing: How the cloud bills; rules that it does not have are left out.
        lost: What the start takes, what preemptions take of the rest.
    """
    node, volume = usd_per_hour
    start, taken = lost
    charged = charged_hours(hours, billing)
    serving = max(0.0, hours - start.total_minutes / MINUTES_PER_HOUR) * taken.serving_share
    node_usd, volume_usd = node * charged, volume * hours
    rules = [rule for rule in (billing.minimum_runtime_minutes, billing.granularity_minutes) if rule]
    return Run(
        hours=hours,
        charged_hours=charged,
        serving_hours=serving,
        node_usd=node_usd,
        volume_usd=volume_usd,
        usd=node_usd + volume_usd,
        usd_per_serving_hour=(node_usd + volume_usd) / serving if serving else None,
        basis="; ".join(f"{rule.source}, {rule.date}" for rule in rules) or "no billing rules of this cloud are known",
    )


def _given_or(given: float | None, assumed: Quantity) -> tuple[float, str]:
    if given is not None:
        return given, "given by the stack"
    return assumed.value, f"{assumed.source}, {assumed.date}"


def _moving(given_minutes: float | None, size: int | None, gb_per_s: float, basis: str) -> tuple[float | None, str]:
    if given_minutes is not None:
        return given_minutes, "given by the stack"
    if size is None:
        return None, "not counted, the size of the weights is not known"
    return size / 1e9 / gb_per_s / MINUTES_PER_HOUR, f"{size / 1e9:.1f} GB at {basis}"
