"""What there is in a simulated world: machines, volumes, the rules of their cloud, and reasons to refuse."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nodestack.clouds.accounts import Frozen
from nodestack.clouds.simulated.machines import Order, Place


class Refused(Exception):
    """The world does not do as asked; each cloud says so in its own words.

    Attributes:
        why: The kind of refusal.
        remaining_minutes: For a minimum runtime: how long it lasts.
    """

    def __init__(self, why: "Why", detail: str = "", *, remaining_minutes: int = 0) -> None:
        super().__init__(detail or why.value)
        self.why = why
        self.remaining_minutes = remaining_minutes


class Why(StrEnum):
    """Why something is refused."""

    OUT_OF_STOCK = "out of stock"
    NAME_TAKEN = "the name is taken"
    INSUFFICIENT_BALANCE = "insufficient balance"
    MINIMUM_RUNTIME = "minimum runtime not met"
    NOT_FOUND = "there is no such thing"
    ENDED = "it has ended already"
    IN_USE = "it is in use"
    WRONG_REGION = "it is in another region"
    NOT_RUNNING = "the machine does not run"
    INVALID = "the request is not valid"


class State(StrEnum):
    """Where a machine is in its life."""

    DEPLOYING = "deploying"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETED = "deleted"
    PREEMPTED = "preempted"


LIVING = frozenset({State.DEPLOYING, State.RUNNING, State.STOPPED})
"""States in which a machine exists and is billed."""


class Rules(Frozen):
    """How the cloud behaves; may be changed at any time.

    Attributes:
        boot_s: Simulated seconds from an order to a running machine, at least.
        minimum_runtime_minutes: A machine cannot be deleted earlier.
        page_size: Entries of a page at most.
        pages: Whether lists come in pages, where a cloud has both forms.
        lists_lag_calls: So many listings do not show a new thing yet.
        drop_cloud_init: Whether user data is dropped on the way.
        attach_at_creation: Whether volumes named with an order are attached by it.
        volume_usd_per_gib_hour: Rent of volumes.
    """

    boot_s: float = 0
    minimum_runtime_minutes: int = 0
    page_size: int = 100
    pages: bool = False
    lists_lag_calls: int = 0
    drop_cloud_init: bool = False
    attach_at_creation: bool = False
    volume_usd_per_gib_hour: float = 0.00013


@dataclass
class Machine:
    """A machine that was ordered."""

    machine_id: str
    order: Order
    state: State
    ordered_at: datetime
    ended_at: datetime | None = None
    hidden_from_lists: int = 0
    shown_status: str = ""
    place: Place | None = None


@dataclass
class Disk:
    """A volume."""

    disk_id: str
    handle: str
    name: str
    size_gib: int
    provider: str
    region: str
    made_at: datetime
    attached_to: str | None = None
    hidden_from_lists: int = 0
