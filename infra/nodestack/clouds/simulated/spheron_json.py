"""The objects of a simulated world as Spheron's API tells them."""

from collections import defaultdict
from typing import Any

from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated.things import LIVING, Disk, Machine, Rules, State

TEAM_ID = "team-simulated"
"""The team that the simulation's account has."""

_STATUSES = {
    State.DEPLOYING: "deploying",
    State.RUNNING: "running",
    State.STOPPED: "stopped",
    State.FAILED: "failed",
    State.DELETED: "terminated",
    State.PREEMPTED: "terminated-provider",
}


def deployment_json(machine: Machine) -> dict[str, Any]:
    """Return a deployment as the API tells it."""
    order, place = machine.order, machine.place
    living = machine.state in LIVING and place is not None
    return {
        "id": machine.machine_id,
        "name": order.name,
        "teamId": TEAM_ID,
        "status": machine.shown_status or _STATUSES[machine.state],
        "provider": order.offer.provider,
        "offerId": order.offer.offer_id,
        "region": order.offer.region,
        "gpuType": order.offer.gpu,
        "gpuCount": order.offer.gpu_count,
        "instanceType": "SPOT" if order.offer.market == "spot" else "DEDICATED",
        # Known from the first moment on, long before anything answers there.
        "ipAddress": place.address if living and place else None,
        "user": place.user if living and place else None,
        "sshPort": place.port if living and place else None,
        "volumeIds": list(order.disk_ids),
        "hourlyPrice": order.offer.usd_per_hour,
        "createdAt": machine.ordered_at.isoformat(),
    }


def groups_json(market: list[Offer], search: str) -> list[dict[str, Any]]:
    """Return the offers whose GPU matches a word, by GPU type."""
    by_gpu: dict[str, list[Offer]] = defaultdict(list)
    for offer in market:
        if search.lower() in offer.gpu.lower():
            by_gpu[offer.gpu].append(offer)
    return [
        {
            "gpuType": gpu,
            "gpuModel": gpu.split("_")[0],
            "displayName": gpu.replace("_", " "),
            "totalAvailable": len(offers),
            "lowestPrice": min(offer.usd_per_hour for offer in offers),
            "providers": sorted({offer.provider for offer in offers}),
            "offers": [_row(offer) for offer in offers],
        }
        for gpu, offers in by_gpu.items()
    ]


def _row(offer: Offer) -> dict[str, Any]:
    return {
        "provider": offer.provider,
        "offerId": offer.offer_id,
        "vcpus": 176,
        "gpuCount": offer.gpu_count,
        "price": offer.usd_per_hour,
        "available": offer.available,
        "clusters": [offer.region],
        "os_options": list(offer.images),
        "instanceType": "SPOT" if offer.market == "spot" else "DEDICATED",
        "interconnectType": offer.interconnect,
        "supportsCloudInit": offer.supports_cloud_init,
        "minimumRuntimeMinutes": offer.minimum_runtime_minutes,
    }


def volume_json(disk: Disk, rules: Rules) -> dict[str, Any]:
    """Return a volume as the API tells it."""
    return {
        "id": disk.disk_id,
        "volumeId": disk.handle,
        "name": disk.name,
        "sizeInGb": disk.size_gib,
        "provider": disk.provider,
        "region": disk.region,
        "teamId": TEAM_ID,
        "status": "available" if disk.attached_to is None else "in-use",
        "deploymentId": disk.attached_to,
        "hourlyPrice": disk.size_gib * rules.volume_usd_per_gib_hour,
        "createdAt": disk.made_at.isoformat(),
    }
