"""What comes back from Verda's API as typed objects, and the words it uses.

Names and words are those of Verda's OpenAPI description and of its Python and Go clients, read on 2026-11-22.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

NOT_FOUND = "not_found"
INSUFFICIENT_FUNDS = "insufficient_funds"
SERVICE_UNAVAILABLE = "service_unavailable"
UNAUTHORIZED = "unauthorized_request"

SSH_USER = "root"
SSH_PORT = 22


class InstanceStatus(StrEnum):
    """Where an instance is in its life."""

    NEW = "new"
    ORDERED = "ordered"
    PROVISIONING = "provisioning"
    VALIDATING = "validating"
    PENDING = "pending"
    RUNNING = "running"
    OFFLINE = "offline"
    DELETING = "deleting"
    DISCONTINUED = "discontinued"
    NOT_FOUND = "notfound"
    ERROR = "error"
    INSTALLATION_FAILED = "installation_failed"
    NO_CAPACITY = "no_capacity"
    UNKNOWN = "unknown"


class VolumeStatus(StrEnum):
    """Where a volume is in its life."""

    ORDERED = "ordered"
    CREATED = "created"
    CREATING = "creating"
    CLONING = "cloning"
    RESTORING = "restoring"
    ATTACHED = "attached"
    ATTACHING = "attaching"
    DETACHED = "detached"
    DETACHING = "detaching"
    EXPORTED = "exported"
    DELETING = "deleting"
    DELETED = "deleted"
    CANCELING = "canceling"
    CANCELED = "canceled"


def _absent_as_empty(value: object) -> object:
    return () if value is None else value


def _absent_as_text(value: object) -> object:
    return "" if value is None else value


def _absent_as_object(value: object) -> object:
    return {} if value is None else value


Text = Annotated[str, BeforeValidator(_absent_as_text)]
Ids = Annotated[tuple[str, ...], BeforeValidator(_absent_as_empty)]


class Answer(BaseModel):
    """Base of what comes back: the API may grow, so unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Token(Answer):
    """The answer to a sign-in.

    Attributes:
        access_token: Sent as bearer token.
        expires_in: Seconds it is good for.
    """

    access_token: SecretStr
    expires_in: Annotated[float, Field(gt=0)]


class Gpus(Answer):
    """What GPUs an instance type has.

    Attributes:
        description: E.g. "8x H100 SXM5 80GB".
        number_of_gpus: How many.
    """

    description: Text = ""
    number_of_gpus: int = 0


class InstanceType(Answer):
    """What can be rented.

    Attributes:
        instance_type: Its name, e.g. 8H100.80S.176V; spellings vary, so nothing is read from it.
        model: E.g. "H100".
        name: E.g. "H100 SXM5 80GB".
        price_per_hour: Of the whole node, on demand; the API sends text.
        spot_price: Of the whole node, as a spot instance; None where there is none.
        currency: "usd" or "eur".
        supported_os: Images it can boot.
    """

    instance_type: str
    model: Text = ""
    name: Text = ""
    description: Text = ""
    price_per_hour: Decimal
    spot_price: Decimal | None = None
    currency: str = "usd"
    gpu: Annotated[Gpus, BeforeValidator(_absent_as_object)] = Gpus()
    supported_os: Ids = ()


class Availability(Answer):
    """Which instance types a location can deliver now.

    Attributes:
        location_code: E.g. FIN-01.
        availabilities: Names of instance types.
    """

    location_code: str
    availabilities: Ids = ()


class Instance(Answer):
    """A machine.

    Attributes:
        id: UUID.
        status: A word of `InstanceStatus`, or a new one.
        hostname: The name we gave it.
        price_per_hour: What it is billed at, of the whole node.
        gpu: What GPUs it has.
        volume_ids: All its volumes; the OS volume may or may not be among them.
        ssh_port: Not in Verda's API: machines of a simulated one share a host, whose port 22 may be taken.
    """

    id: str
    status: str
    hostname: str
    instance_type: Text = ""
    location: Text = ""
    ip: Text = ""
    created_at: datetime
    price_per_hour: Decimal | None = None
    gpu: Annotated[Gpus, BeforeValidator(_absent_as_object)] = Gpus()
    is_spot: bool = False
    os_volume_id: Text = ""
    volume_ids: Ids = ()
    startup_script_id: Text = ""
    ssh_key_ids: Ids = ()
    ssh_port: int = SSH_PORT


class Volume(Answer):
    """A disk.

    Attributes:
        id: UUID.
        status: A word of `VolumeStatus`, or a new one.
        size: GB.
        is_os_volume: Whether it was made as the boot disk of an instance.
        instance_id: Who holds it.
        target: Device name on the instance, e.g. "vdb"; a hint, the node is asked itself.
        mount_command: How a shared filesystem is mounted; "" for block devices.
        base_hourly_cost: What it costs an hour, attached or not.
    """

    id: str
    status: str
    name: str
    size: int
    type: Text = ""
    is_os_volume: bool = False
    instance_id: Text = ""
    location: Text = ""
    target: Text = ""
    mount_command: Text = ""
    base_hourly_cost: Decimal | None = None
    created_at: datetime | None = None


class SshKey(Answer):
    """A public key the account knows."""

    id: str
    name: str
    key: str


class Script(Answer):
    """A startup script the account knows; its text may hold secrets, so it is never read back."""

    id: str
    name: str


class Balance(Answer):
    """What is left of the prepaid money."""

    amount: Decimal
    currency: str = "usd"


class ActionResult(Answer):
    """What became of an action for one instance, in an answer 202 or 207.

    Attributes:
        status: "success" or "error", among others; what counts is `error` and `status_code`.
        error: "" when it went well.
        status_code: HTTP status of this one; 0 when not told.
    """

    instance_id: Annotated[str, Field(validation_alias=AliasChoices("instanceId", "instance_id"))] = ""
    status: Text = ""
    error: Text = ""
    status_code: Annotated[int, Field(validation_alias=AliasChoices("statusCode", "status_code"))] = 0
