"""Spheron's objects as its API tells them; what it tells besides is passed over, since it grows.

Sources: docs.spheron.ai/api-reference, and what authors of other clients measured against the live API (2026-09).
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_SSH_USER = re.compile(r"(?:^|\s)([A-Za-z_][\w-]*)@")
_SSH_PORT = re.compile(r"\s-p\s*(\d+)\b")
_DEFAULT_USER = "ubuntu"
_DEFAULT_PORT = 22
_SPOT_MARK = "::spot"

Instant = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]
"""A moment; UTC where the API names no zone."""


class Told(BaseModel):
    """Base of what the API tells."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class OfferRow(Told):
    """A machine of one provider, in one or more regions.

    Attributes:
        price: USD an hour of the whole machine; on a SPOT row the spot price.
        spot_price: What the same machine costs on the spot market, where it is sold there, too.
        clusters: Regions.
        os_options: Operating systems.
        instance_type: SPOT, DEDICATED, CLUSTER or another.
    """

    provider: str
    offer_id: str
    gpu_count: int
    price: float
    spot_price: Annotated[float | None, Field(alias="spot_price")] = None
    available: bool = False
    maintenance: bool = False
    clusters: tuple[str, ...] = ()
    region: str | None = None
    os_options: Annotated[tuple[str, ...], Field(alias="os_options")] = ()
    instance_type: str = "DEDICATED"
    interconnect_type: str | None = None
    supports_cloud_init: bool = False
    minimum_runtime_minutes: int | None = None

    @property
    def is_spot(self) -> bool:
        """Whether this row sells on the spot market only."""
        return self.instance_type == "SPOT" or self.offer_id.endswith(_SPOT_MARK)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where the machine can be had."""
        return self.clusters or ((self.region,) if self.region else ())


class OfferGroup(Told):
    """All offers of one GPU type."""

    gpu_type: str
    gpu_model: str = ""
    display_name: str = ""
    offers: tuple[OfferRow, ...] = ()


class Team(Told):
    """A team and its money in USD."""

    team_id: str
    balance: float
    is_current_team: bool = False


class Balances(Told):
    """What the teams of a key have left."""

    teams: tuple[Team, ...] = ()


class Deployment(Told):
    """A machine that was ordered; status is kept as it was told, so that a strange one of another's does no harm."""

    id: str
    name: str = ""
    status: str
    provider: str = ""
    region: str = ""
    gpu_type: str = ""
    gpu_count: int = 0
    instance_type: str = "DEDICATED"
    ip_address: str | None = None
    user: str | None = None
    ssh_command: str | None = None
    ssh_port: int | None = None
    created_at: Instant | None = None
    usd_per_hour: Annotated[
        float | None, Field(validation_alias=AliasChoices("hourlyPrice", "hourlyRate", "pricePerHour", "price"))
    ] = None

    @property
    def login(self) -> str:
        """Who may log in."""
        found = _SSH_USER.search(self.ssh_command or "")
        return self.user or (found.group(1) if found else _DEFAULT_USER)

    @property
    def port(self) -> int:
        """TCP port of SSH."""
        found = _SSH_PORT.search(self.ssh_command or "")
        return self.ssh_port or (int(found.group(1)) if found else _DEFAULT_PORT)

    @property
    def is_spot(self) -> bool:
        """Whether it was bought on the spot market."""
        return self.instance_type == "SPOT"


class Volume(Told):
    """A volume.

    Attributes:
        id: What volumes are read and deleted by.
        volume_id: The provider's handle, what volumes are attached by.
    """

    id: str
    volume_id: str | None = None
    name: str
    size_in_gb: int
    provider: str = ""
    region: str = ""
    status: str = ""
    deployment_id: str | None = None
    created_at: Instant | None = None
    usd_per_hour: Annotated[
        float | None, Field(validation_alias=AliasChoices("hourlyPrice", "hourlyRate", "pricePerHour", "price"))
    ] = None

    @property
    def handle(self) -> str:
        """What the volume is attached by."""
        return self.volume_id or self.id


class TooYoung(Told):
    """Why a deployment cannot be terminated; times in minutes."""

    can_terminate: bool = True
    time_remaining: float = 0
    minimum_runtime: float = 0
