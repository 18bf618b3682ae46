"""What stands behind a simulated cloud's deployments and volumes: nothing, or real machines of this host."""

from typing import Protocol

from pydantic import Field

from nodestack.clouds.accounts import Frozen
from nodestack.clouds.offers import Offer


class Place(Frozen):
    """Where a machine takes SSH."""

    address: str
    port: int = 22
    user: str = "ubuntu"


class Order(Frozen):
    """What somebody ordered.

    Attributes:
        name: As the account calls it.
        offer: What was bought, at its price.
        image: Operating system.
        ssh_public_key: OpenSSH line that may log in.
        files: What cloud-init writes, by absolute path; empty where it was dropped on the way.
        disk_ids: Volumes named with the order.
    """

    name: str
    offer: Offer
    image: str = ""
    ssh_public_key: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    disk_ids: tuple[str, ...] = ()


class Machines(Protocol):
    """Makes what a simulated cloud sells. Ids are the world's."""

    def start(self, machine_id: str, order: Order) -> None:
        """Begin to start a machine; raises a CloudError where that cannot be."""

    def place(self, machine_id: str) -> Place | None:
        """Return where a machine will take SSH, None while that is not known."""

    def is_up(self, machine_id: str) -> bool:
        """Return whether a machine has come up."""

    def is_alive(self, machine_id: str) -> bool:
        """Return whether anything of a machine is left."""

    def end(self, machine_id: str, *, at_once: bool = False) -> None:
        """Have a machine be gone, shut down or `at_once` as if its power was cut; one that is gone is no error."""

    def make_disk(self, disk_id: str, size_gib: int) -> None: ...

    def grow_disk(self, disk_id: str, size_gib: int) -> None: ...

    def delete_disk(self, disk_id: str) -> None: ...


class MemoryMachines:
    """Machines that exist as words only: up at once, and gone at once."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    def start(self, machine_id: str, order: Order) -> None:
        """Give it an address of the block that is kept for documentation (RFC 5737)."""
        self._places[machine_id] = Place(address=f"192.0.2.{1 + len(self._places) % 254}")

    def place(self, machine_id: str) -> Place | None:
        """Return its address."""
        return self._places.get(machine_id)

    def is_up(self, machine_id: str) -> bool:
        """Return True from the start."""
        return machine_id in self._places

    def is_alive(self, machine_id: str) -> bool:
        """Return True until it is ended."""
        return machine_id in self._places

    def end(self, machine_id: str, *, at_once: bool = False) -> None:
        """Forget it."""
        self._places.pop(machine_id, None)

    def make_disk(self, disk_id: str, size_gib: int) -> None:
        """Do nothing."""

    def grow_disk(self, disk_id: str, size_gib: int) -> None:
        """Do nothing."""

    def delete_disk(self, disk_id: str) -> None:
        """Do nothing."""
