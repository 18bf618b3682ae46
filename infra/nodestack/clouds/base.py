"""What every cloud offers: typed requests and answers, and the protocol that lifecycle/ calls."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import AwareDatetime, Field, SecretStr

from nodestack.clouds.accounts import Account, Frozen, LocalAccount, SpheronAccount, SshAccount, VerdaAccount
from nodestack.clouds.offers import Balance, Market, Offer, OfferQuery

__all__ = [
    "Account",
    "Balance",
    "Cloud",
    "EndedBecause",
    "Frozen",
    "LocalAccount",
    "Market",
    "Node",
    "NodeRequest",
    "NodeStatus",
    "Offer",
    "OfferQuery",
    "Progress",
    "SpheronAccount",
    "SshAccount",
    "VerdaAccount",
    "Volume",
    "VolumeRequest",
]

Progress = Callable[[str], None]
"""Takes one short line about what is going on; shown live, never stored."""

EndedBecause: TypeAlias = Literal["preempted", "deleted", "failed"]
"""Why a node is terminated: its cloud took it back, somebody deleted it, or it never came up."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$")]
"""At most 50 characters, the least that any of the clouds takes; exact, deterministic, found again by it."""


class NodeStatus(StrEnum):
    """Where a node is in its life.

    A stopped one exists, may well cost money, and does not come up by waiting.
    """

    BOOTING = "booting"
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


class VolumeRequest(Frozen):
    """A volume to be made.

    Attributes:
        name: Exact, deterministic; found again by it.
        size_gib: Size in GiB.
        provider: Who shall hold it, where a cloud sells the disks of others; "" where it does not.
        region: Where it shall lie; "" leaves it to the cloud.
    """

    name: Name
    size_gib: Annotated[int, Field(gt=0)]
    provider: str = ""
    region: str = ""


class Volume(Frozen):
    """A volume as its cloud describes it.

    Attributes:
        volume_id: The cloud's id.
        name: As requested.
        size_gib: Size in GiB.
        attached_to: Id of the node that holds it, or None.
        provider: Who holds it; only offers of the same one can use it.
        region: Where it lies; only offers of the same region can use it. "" where the cloud has no regions.
        usd_per_hour: What it costs in USD an hour, attached or not; None where the cloud does not say.
        created_at: When it was made; None where the cloud does not say.
        handle: What a node may see of its name: serial number, virtiofs tag or NFS export; "" where that is not known.
    """

    volume_id: str
    name: str
    size_gib: int
    attached_to: str | None = None
    provider: str = ""
    region: str = ""
    usd_per_hour: float | None = None
    created_at: AwareDatetime | None = None
    handle: str = ""


class NodeRequest(Frozen):
    """A node to be made.

    Attributes:
        name: Exact, deterministic; found again by it.
        shape: Name of the node shape in the catalogue.
        volume_id: The volume to attach.
        ssh_public_key: OpenSSH line that may log in.
        ssh_host_private_key: OpenSSH PEM of the host key the node shall have, so that it is known beforehand.
        hardware_profile: Local cloud only: which recorded hardware the node's driver packages replay.
        market: How it is to be sold.
        image: Operating system, as the cloud calls it; "" takes the offer's first.
        max_usd_per_hour: The node is not ordered at a higher price; None sets no limit.
        offer: What is ordered; None where the cloud sells one thing only.
    """

    name: Name
    shape: str
    volume_id: str
    ssh_public_key: str
    ssh_host_private_key: SecretStr
    hardware_profile: str = ""
    market: Market = "on_demand"
    image: str = ""
    max_usd_per_hour: Annotated[float, Field(gt=0)] | None = None
    offer: Offer | None = None


class Node(Frozen):
    """A node as its cloud describes it.

    Attributes:
        node_id: The cloud's id.
        identity: Changes whenever the machine behind the name does: cloud id and creation nonce.
        name: As requested.
        shape: As requested; "" where the cloud keeps no such word, GPUs tell then.
        status: Where it is in its life.
        address: IP address that takes SSH; "" until known.
        ssh_port: TCP port of SSH.
        ssh_user: Login name, may sudo without a password.
        volume_id: The attached volume; "" where the cloud tells of that on the volume only.
        volume_device: Block device of the volume on the node, e.g. /dev/vdb; "" where only the node can tell.
        hardware_profile: As requested.
        gpu: The cloud's own name of the GPU model; "" where it does not say.
        gpu_count: GPUs; 0 where the cloud does not say.
        region: Where it stands.
        market: How it was sold.
        usd_per_hour: What it costs in USD an hour; None where the cloud does not say.
        created_at: When the cloud took the order; None where it does not say.
        ended_because: Why it is terminated; None while it is not.
        reclaimed_at: When its cloud takes it back, where it gave notice of that; Spheron and Verda give none.
    """

    node_id: str
    identity: str
    name: str
    shape: str
    status: NodeStatus
    address: str
    ssh_port: int
    ssh_user: str
    volume_id: str
    volume_device: str
    hardware_profile: str = ""
    gpu: str = ""
    gpu_count: int = 0
    region: str = ""
    market: Market = "on_demand"
    usd_per_hour: float | None = None
    created_at: AwareDatetime | None = None
    ended_because: EndedBecause | None = None
    reclaimed_at: AwareDatetime | None = None


class Cloud(Protocol):
    """A cloud account. Thin: each call is one request to the provider, or one listing; decisions are lifecycle's.

    `find_*` go by exact name over everything the account holds and return None when it surely holds no such thing;
    two of one name raise DuplicateName. `read_*` go by id and return None when it is surely gone. `list_*` return
    everything to the last page or raise. Anything unclear raises AmbiguousError.
    `create_*` return once the provider accepted: a node may still be BOOTING. What is refused before it had any effect
    raises a CloudError that is no AmbiguousError.
    `delete_*` return once the provider accepted; deleting what is gone is no error.

    Attributes:
        poll_s: Seconds between two questions that its limits allow for.
        unique_names: Whether it refuses a name that something of the account bears: then nothing can be bought twice
            under one name, even while its lists lag behind.
    """

    @property
    def poll_s(self) -> float: ...

    @property
    def unique_names(self) -> bool: ...

    def preflight(self) -> None:
        """Raise a CloudError with what to do when nothing can be created here at all."""

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Return every offer that matches, whether it is available or not, in the cloud's order."""

    def balance(self) -> Balance | None:
        """Return what the account can still spend; None where nothing is prepaid."""

    def find_volume(self, name: str) -> Volume | None: ...

    def list_volumes(self) -> tuple[Volume, ...]: ...

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Make an empty volume; raises NameTaken."""

    def read_volume(self, volume_id: str) -> Volume | None: ...

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger; raises VolumeInUse where that needs a detached volume."""

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        """Attach a volume to a node; one that is attached to it already is no error. Raises VolumeInUse."""

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        """Detach a volume from a node; one that is not attached to it is no error."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume with everything on it; raises VolumeInUse."""

    def find_node(self, name: str) -> Node | None:
        """Return the node of this name that exists; one that ended is found only where its name is still taken."""

    def list_nodes(self) -> tuple[Node, ...]:
        """Return every node that exists; those that ended are left out."""

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        """Order a node; raises OutOfStock, NameTaken, InsufficientBalance."""

    def read_node(self, node_id: str) -> Node | None: ...

    def delete_node(self, node_id: str) -> None:
        """Delete a node, not its volume; raises MinimumRuntime where it is too young."""
