"""What a simulated Verda takes and tells: its requests, checked field by field, and its objects as JSON."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nodestack.clouds.offers import Market, Offer
from nodestack.clouds.simulated.things import LIVING, Disk, Machine, State

OnSpot = Literal["keep_detached", "move_to_trash", "delete_permanently"]

_STATUS = {
    State.DEPLOYING: "provisioning",
    State.RUNNING: "running",
    State.STOPPED: "offline",
    State.FAILED: "error",
    State.DELETED: "discontinued",
    State.PREEMPTED: "discontinued",
}
_SSH_PORT = 22
_GPU_GB = {"H100": 80, "H200": 141, "B200": 180}


class Wanted(BaseModel):
    """Base of requests: what is not documented is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WantedOsVolume(Wanted):
    """The boot disk of a new instance."""

    name: str = Field(min_length=1)
    size: int = Field(ge=50)
    on_spot_discontinue: OnSpot | None = None


class WantedInstance(Wanted):
    """The body of POST /instances."""

    instance_type: str
    image: str = Field(min_length=1)
    hostname: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$")
    description: str = ""
    location_code: str
    ssh_key_ids: tuple[str, ...] = ()
    startup_script_id: str | None = None
    os_volume: WantedOsVolume
    existing_volumes: tuple[str, ...] = ()
    is_spot: bool = False
    contract: Literal["LONG_TERM", "PAY_AS_YOU_GO", "SPOT"] = "PAY_AS_YOU_GO"
    pricing: Literal["FIXED_PRICE"] = "FIXED_PRICE"


class WantedVolume(Wanted):
    """The body of POST /volumes."""

    type: Literal["NVMe", "NVMe_Shared", "HDD"]
    name: str = Field(min_length=1)
    size: int = Field(gt=0)
    location_code: str


class InstanceAct(Wanted):
    """The body of PUT /instances; volumes that are not named stay, null names none."""

    id: tuple[str, ...] | str
    action: Literal["delete", "shutdown", "start"]
    volume_ids: tuple[str, ...] | None = None
    delete_permanently: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids, of which one may come alone."""
        return (self.id,) if isinstance(self.id, str) else self.id


class VolumeAct(Wanted):
    """The body of PUT /volumes."""

    id: str
    action: Literal["attach", "detach", "resize", "rename", "delete"]
    instance_id: str | None = None
    size: int | None = None
    name: str | None = None
    is_permanent: bool = False


def status_of(machine: Machine) -> str:
    """Return the word for a machine's state, or the one that a test wants shown."""
    return machine.shown_status or _STATUS[machine.state]


def instance_json(
    machine: Machine, volume_ids: Iterable[str], os_volume_id: str, script_id: str | None
) -> dict[str, Any]:
    """Return an instance as GET shows it; the address is absent until there is one."""
    offer, place = machine.order.offer, machine.place
    told = {
        "id": machine.machine_id,
        "ip": place.address if place is not None else None,
        "status": status_of(machine),
        "created_at": machine.ordered_at.isoformat().replace("+00:00", "Z"),
        "hostname": machine.order.name,
        "description": machine.order.name,
        "instance_type": offer.offer_id,
        "location": offer.region,
        "price_per_hour": offer.usd_per_hour,
        "is_spot": offer.market == "spot",
        "contract": "SPOT" if offer.market == "spot" else "PAY_AS_YOU_GO",
        "pricing": "FIXED_PRICE",
        "image": machine.order.image,
        "os_name": machine.order.image,
        "gpu": _gpu_json(offer),
        "startup_script_id": script_id,
        "os_volume_id": os_volume_id or None,
        "volume_ids": list(volume_ids),
        "tags": [],
    }
    # Verda has no such field: its instances take SSH at port 22, which on a shared host may be taken.
    return told if place is None or place.port == _SSH_PORT else told | {"ssh_port": place.port}


def volume_json(disk: Disk, holder: Machine | None, *, is_os_volume: bool, usd_per_hour: float) -> dict[str, Any]:
    """Return a volume as GET shows it; whoever held it and is gone holds it no more."""
    held = holder is not None and (holder.state in LIVING or holder.state is State.FAILED)
    return {
        "id": disk.disk_id,
        "name": disk.name,
        "size": disk.size_gib,
        "type": "NVMe",
        "status": "attached" if held else "detached",
        "is_os_volume": is_os_volume,
        "instance_id": holder.machine_id if held and holder is not None else None,
        "instances": [],
        "target": None,
        "location": disk.region,
        "created_at": disk.made_at.isoformat().replace("+00:00", "Z"),
        "mount_command": None,
        "base_hourly_cost": usd_per_hour,
        "currency": "usd",
        "tags": [],
    }


def instance_types_json(market: Iterable[Offer], currency: str) -> list[dict[str, Any]]:
    """Return what is sold, each type once, with its prices as text."""
    types: dict[str, dict[str, Any]] = {}
    for offer in market:
        board = f" {offer.interconnect}" if offer.interconnect else ""
        told = types.setdefault(
            offer.offer_id,
            {
                "id": f"type-{offer.offer_id}",
                "instance_type": offer.offer_id,
                "model": offer.gpu,
                "name": f"{offer.gpu}{board} {_GPU_GB.get(offer.gpu, 48)}GB",
                "description": "Dedicated hardware instance",
                "gpu": _gpu_json(offer),
                "price_per_hour": "0",
                "spot_price": None,
                "currency": currency,
                "supported_os": list(offer.images),
            },
        )
        told["spot_price" if offer.market == "spot" else "price_per_hour"] = f"{offer.usd_per_hour:.3f}"
    return list(types.values())


def availability_json(market: Iterable[Offer], has: Callable[[Offer], bool], sold: Market) -> list[dict[str, Any]]:
    """Return what each location has left of one market."""
    places: dict[str, list[str]] = {}
    for offer in market:
        there = places.setdefault(offer.region, [])
        if offer.market == sold and has(offer):
            there.append(offer.offer_id)
    return [{"location_code": place, "availabilities": there} for place, there in sorted(places.items())]


def _gpu_json(offer: Offer) -> dict[str, Any]:
    board = f" {offer.interconnect}" if offer.interconnect else ""
    return {"description": f"{offer.gpu_count}x {offer.gpu}{board}", "number_of_gpus": offer.gpu_count}
