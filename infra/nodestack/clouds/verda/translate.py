"""Verda's words in those of every cloud: statuses, nodes, volumes and offers; pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from nodestack.clouds.base import EndedBecause, Node, NodeStatus, Offer, OfferQuery, Volume
from nodestack.clouds.offers import is_model
from nodestack.clouds.verda import api
from nodestack.clouds.verda.api import InstanceStatus, VolumeStatus
from nodestack.errors import AmbiguousError, CloudError

PROVIDER = "verda"

_BOOTING = {
    InstanceStatus.NEW,
    InstanceStatus.ORDERED,
    InstanceStatus.PENDING,
    InstanceStatus.PROVISIONING,
    InstanceStatus.VALIDATING,
}
# These exist and may cost money, and never come up by waiting; one that is being deleted still holds its volumes.
_STOPPED = {
    InstanceStatus.OFFLINE,
    InstanceStatus.ERROR,
    InstanceStatus.INSTALLATION_FAILED,
    InstanceStatus.DELETING,
}
_VOLUME_GONE = {VolumeStatus.DELETED, VolumeStatus.CANCELED}
_VOLUME_GOING = {VolumeStatus.DELETING, VolumeStatus.CANCELING}

_COUNT = re.compile(r"^\s*\d+\s*x\s*", re.IGNORECASE)
_BOARD = re.compile(r"(?<![A-Z])(SXM\d*|PCIE|NVL)(?![A-Z])", re.IGNORECASE)
_CONFIDENTIAL = re.compile(r"(?<![A-Z])CC(?![A-Z])")


def node_status(instance: api.Instance) -> tuple[NodeStatus, EndedBecause | None]:
    """Return where an instance is in its life, and why it ended where it has.

    Raises:
        AmbiguousError: It has a status that says nothing, or one that this version does not know.
    """
    known = {status.value for status in InstanceStatus} - {InstanceStatus.UNKNOWN, InstanceStatus.NOT_FOUND}
    if instance.status not in known:
        raise AmbiguousError(
            f"instance {instance.id} ({instance.hostname}) has status {instance.status!r}, which does not tell whether "
            "it lives: nothing is done before that changes; look at it in Verda's console"
        )
    status = InstanceStatus(instance.status)
    if status is InstanceStatus.RUNNING:
        return NodeStatus.RUNNING, None
    if status in _BOOTING:
        return NodeStatus.BOOTING, None
    if status in _STOPPED:
        return NodeStatus.STOPPED, None
    if status is InstanceStatus.NO_CAPACITY:
        return NodeStatus.TERMINATED, "failed"
    return NodeStatus.TERMINATED, "preempted" if instance.is_spot else "deleted"


def node(instance: api.Instance) -> Node:
    """Return an instance as a node; raises as `node_status` does."""
    status, ended_because = node_status(instance)
    volumes = [volume_id for volume_id in instance.volume_ids if volume_id != instance.os_volume_id]
    return Node(
        node_id=instance.id,
        identity=instance.id,
        name=instance.hostname,
        shape="",
        status=status,
        address=instance.ip,
        ssh_port=instance.ssh_port,
        ssh_user=api.SSH_USER,
        volume_id=volumes[0] if len(volumes) == 1 else "",
        volume_device="",
        gpu=gpu_name(instance.gpu),
        gpu_count=instance.gpu.number_of_gpus,
        region=instance.location,
        market="spot" if instance.is_spot else "on_demand",
        usd_per_hour=None if instance.price_per_hour is None else float(instance.price_per_hour),
        created_at=_in_utc(instance.created_at),
        ended_because=ended_because,
    )


def volume_exists(volume: api.Volume) -> bool:
    """Return whether a volume still is there, be it on its way out.

    Raises:
        AmbiguousError: It has a status that this version does not know.
    """
    if volume.status not in {status.value for status in VolumeStatus}:
        raise AmbiguousError(
            f"volume {volume.id} ({volume.name}) has status {volume.status!r}, which this version does not know: "
            "nothing is done before that changes; look at it in Verda's console"
        )
    return VolumeStatus(volume.status) not in _VOLUME_GONE


def volume_is_leaving(volume: api.Volume) -> bool:
    """Return whether a volume that exists is being deleted."""
    return volume.status in _VOLUME_GOING


def volume(found: api.Volume) -> Volume:
    """Return a volume in the words of every cloud."""
    return Volume(
        volume_id=found.id,
        name=found.name,
        size_gib=found.size,
        attached_to=found.instance_id or None,
        provider=PROVIDER,
        region=found.location,
        usd_per_hour=None if found.base_hourly_cost is None else float(found.base_hourly_cost),
        created_at=None if found.created_at is None else _in_utc(found.created_at),
    )


def offers(
    types: Iterable[api.InstanceType], availabilities: Iterable[api.Availability], query: OfferQuery
) -> tuple[Offer, ...]:
    """Return an offer for each matching instance type in each location, whether it has one now or not.

    Types are matched by GPU model and count, never by the spelling of their names. Confidential-computing types are
    left out: their GPUs talk to each other under other rules.

    Raises:
        CloudError: A matching type is not priced in USD.
    """
    places = [place for place in availabilities if query.region in (None, place.location_code)]
    found: list[Offer] = []
    for kind in types:
        price = kind.spot_price if query.market == "spot" else kind.price_per_hour
        board = _board(kind)
        if not _matches(kind, query, board) or not price:
            continue
        if kind.currency.lower() != "usd":
            raise CloudError(
                f"Verda prices {kind.instance_type} in {kind.currency}, USD were asked for: set the project's currency "
                "to USD, budgets are kept in it"
            )
        found += [
            Offer(
                offer_id=offer_id(kind.instance_type, place.location_code, query.market),
                provider=PROVIDER,
                region=place.location_code,
                gpu=next(name for name in _names(kind) if is_model(query.gpu, name)),
                gpu_count=kind.gpu.number_of_gpus,
                interconnect=board,
                market=query.market,
                usd_per_hour=float(price),
                available=kind.instance_type in place.availabilities,
                images=kind.supported_os,
            )
            for place in places
        ]
    return tuple(found)


def offer_id(instance_type: str, location: str, market: str) -> str:
    """Return an id that holds all that an order of it needs.

    >>> offer_id("8H100.80S.176V", "FIN-01", "spot")
    '8H100.80S.176V@FIN-01/spot'
    """
    return f"{instance_type}@{location}/{market}"


def instance_type_of(offer: Offer) -> str:
    """Return the instance type that an offer sells.

    Raises:
        CloudError: It is no offer of Verda's.
    """
    instance_type, separator, rest = offer.offer_id.rpartition("@")
    if offer.provider != PROVIDER or not separator or rest != f"{offer.region}/{offer.market}":
        raise CloudError(f"offer {offer.offer_id} of {offer.provider} is none of Verda's: choose from its own offers")
    return instance_type


def gpu_name(gpus: api.Gpus) -> str:
    """Return a GPU's name without how many there are.

    >>> gpu_name(api.Gpus(description="8xH100 SXM5 80GB", number_of_gpus=8))
    'H100 SXM5 80GB'
    """
    return _COUNT.sub("", gpus.description)


def _in_utc(at: datetime) -> datetime:
    # The API writes UTC, with and without saying so.
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _names(kind: api.InstanceType) -> tuple[str, ...]:
    return gpu_name(kind.gpu), kind.name, kind.model, kind.description


def _matches(kind: api.InstanceType, query: OfferQuery, board: str) -> bool:
    names = _names(kind)
    return (
        any(is_model(query.gpu, name) for name in names)
        and kind.gpu.number_of_gpus == query.gpu_count
        and (board.startswith("SXM") or not query.sxm)
        and not _CONFIDENTIAL.search(" ".join((kind.instance_type, *names)))
    )


def _board(kind: api.InstanceType) -> str:
    found = _BOARD.search(" ".join(_names(kind)))
    if found is None:
        return ""
    word = found.group(1).upper()
    return "PCIe" if word == "PCIE" else word
