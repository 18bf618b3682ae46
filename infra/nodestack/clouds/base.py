"""What every cloud offers: typed requests and answers, and the protocol that lifecycle/ calls."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Progress = Callable[[str], None]
"""Takes one short line about what is going on; shown live, never stored."""


class Frozen(BaseModel):
    """Base of all boundary types: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LocalAccount(Frozen):
    """Where this machine keeps the nodes and disks of one account of the local cloud.

    Attributes:
        directory: Absolute path; nodes and disks live below it, caches do not.
    """

    kind: Literal["local"] = "local"
    directory: str


Account = LocalAccount
"""The account a resource lives in; a union with a discriminator once there are more clouds."""


class NodeStatus(StrEnum):
    """Where a node is in its life."""

    BOOTING = "booting"
    RUNNING = "running"
    TERMINATED = "terminated"


class VolumeRequest(Frozen):
    """A volume to be made.

    Attributes:
        name: Exact, deterministic; found again by it.
        size_gib: Size in GiB.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$")]
    size_gib: Annotated[int, Field(gt=0)]


class Volume(Frozen):
    """A volume as its cloud describes it.

    Attributes:
        volume_id: The cloud's id.
        name: As requested.
        size_gib: Size in GiB.
        attached_to: Id of the node that holds it, or None.
    """

    volume_id: str
    name: str
    size_gib: int
    attached_to: str | None = None


class NodeRequest(Frozen):
    """A node to be made.

    Attributes:
        name: Exact, deterministic; found again by it.
        shape: Name of the node shape in the catalogue.
        volume_id: The volume to attach.
        ssh_public_key: OpenSSH line that may log in.
        ssh_host_private_key: OpenSSH PEM of the host key the node shall have, so that it is known beforehand.
        hardware_profile: Local cloud only: which recorded hardware the node's driver packages replay.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$")]
    shape: str
    volume_id: str
    ssh_public_key: str
    ssh_host_private_key: SecretStr
    hardware_profile: str = ""


class Node(Frozen):
    """A node as its cloud describes it.

    Attributes:
        node_id: The cloud's id.
        identity: Changes whenever the machine behind the name does: cloud id and creation nonce.
        name: As requested.
        shape: As requested.
        status: Where it is in its life.
        address: IP address that takes SSH; "" until known.
        ssh_port: TCP port of SSH.
        ssh_user: Login name, may sudo without a password.
        volume_id: The attached volume.
        volume_device: Block device of the volume on the node, e.g. /dev/vdb.
        hardware_profile: As requested.
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


class Cloud(Protocol):
    """A cloud account. Thin: each call is one request to the provider, decisions are lifecycle's.

    `find_*` go by exact name and return None when the account surely holds no such thing;
    `read_*` go by id and return None when it is surely gone. Anything unclear raises AmbiguousError.
    `create_*` return once the provider accepted: a node may still be BOOTING.
    `delete_*` return once the provider accepted; deleting what is gone is no error.
    """

    def preflight(self) -> None:
        """Raise a CloudError with what to do when nothing can be created here at all."""

    def find_volume(self, name: str) -> Volume | None: ...

    def create_volume(self, request: VolumeRequest) -> Volume: ...

    def read_volume(self, volume_id: str) -> Volume | None: ...

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger; raises VolumeInUse where that needs a detached volume."""

    def delete_volume(self, volume_id: str) -> None: ...

    def find_node(self, name: str) -> Node | None: ...

    def create_node(self, request: NodeRequest, progress: Progress) -> Node: ...

    def read_node(self, node_id: str) -> Node | None: ...

    def delete_node(self, node_id: str) -> None: ...
