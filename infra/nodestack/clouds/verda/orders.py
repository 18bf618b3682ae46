"""What is sent to Verda's API: exactly the documented fields, and the order that a node comes to; pure."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from nodestack.clouds.base import NodeRequest, Offer
from nodestack.clouds.verda import translate
from nodestack.errors import CloudError

OS_VOLUME_GB = 100
"""Room for image, driver and logs: weights and engine are on a volume of their own. Images ask for 50 at least."""


class Order(BaseModel):
    """Base of what is sent: exactly the documented fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def body(self) -> dict[str, Any]:
        """Return it as JSON; what is None is left out."""
        return self.model_dump(mode="json", exclude_none=True)


class OsVolume(Order):
    """The boot disk of a new instance.

    Attributes:
        on_spot_discontinue: keep_detached (the default, and it goes on billing), move_to_trash or delete_permanently;
            only a spot instance may have it.
    """

    name: str
    size: int
    on_spot_discontinue: str | None = None


class NewInstance(Order):
    """An instance to be made.

    Attributes:
        existing_volumes: Ids of detached volumes of the same location, attached at its first boot.
    """

    instance_type: str
    image: str
    hostname: str
    description: str
    location_code: str
    ssh_key_ids: tuple[str, ...]
    startup_script_id: str
    os_volume: OsVolume
    existing_volumes: tuple[str, ...]
    is_spot: bool
    contract: str
    pricing: str = "FIXED_PRICE"


class NewVolume(Order):
    """A volume to be made, attached to nothing."""

    type: str = "NVMe"
    name: str
    size: int
    location_code: str


class InstanceAction(Order):
    """Something to be done to instances.

    Attributes:
        volume_ids: With `delete`: the volumes that go with them, all others stay. Always sent.
    """

    id: tuple[str, ...]
    action: str
    volume_ids: tuple[str, ...] = ()
    delete_permanently: bool | None = None


class VolumeAction(Order):
    """Something to be done to a volume: attach, detach, resize or delete."""

    id: str
    action: str
    instance_id: str | None = None
    size: int | None = None
    is_permanent: bool | None = None


def orderable(request: NodeRequest) -> Offer:
    """Return the offer that a request chose, once it surely may be ordered.

    Raises:
        CloudError: None was chosen, it is another cloud's or market's, too dear, or no image is known for it.
    """
    offer = request.offer
    if offer is None:
        raise CloudError(f"no offer was chosen for node {request.name}: Verda sells many things")
    translate.instance_type_of(offer)
    if offer.market != request.market:
        raise CloudError(f"offer {offer.offer_id} is sold {offer.market}, {request.market} was asked for")
    if request.max_usd_per_hour is not None and offer.usd_per_hour > request.max_usd_per_hour:
        raise CloudError(
            f"offer {offer.offer_id} costs ${offer.usd_per_hour:.2f} an hour, the limit is "
            f"${request.max_usd_per_hour:.2f}: nothing was ordered"
        )
    if not (request.image or offer.images):
        raise CloudError(f"offer {offer.offer_id} lists no image: name one for node {request.name}")
    return offer


def of_node(request: NodeRequest, offer: Offer, script_id: str, key_id: str) -> NewInstance:
    """Return the order of a node: its OS volume goes with it, its weights volume existed before and stays."""
    spot = offer.market == "spot"
    return NewInstance(
        instance_type=translate.instance_type_of(offer),
        image=request.image or offer.images[0],
        hostname=request.name,
        description=request.name,
        location_code=offer.region,
        ssh_key_ids=(key_id,),
        startup_script_id=script_id,
        # Only a spot instance may have a policy; without one its OS volume would stay behind and bill.
        os_volume=OsVolume(
            name=os_volume_name(request.name),
            size=OS_VOLUME_GB,
            on_spot_discontinue="delete_permanently" if spot else None,
        ),
        # A volume that existed before takes no policy: Verda detaches it and keeps it.
        existing_volumes=(request.volume_id,) if request.volume_id else (),
        is_spot=spot,
        contract="SPOT" if spot else "PAY_AS_YOU_GO",
    )


def os_volume_name(name: str) -> str:
    """Return what the OS volume of a node of this name is called."""
    return f"{name}-os"
