"""What happened in a simulated cloud, and what it cost: so that leaked, lost and bought twice can be counted."""

from collections import defaultdict
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from nodestack.clouds.accounts import Frozen

What: TypeAlias = Literal[
    "ordered", "running", "stopped", "failed", "deleted", "preempted", "volume_made", "volume_attached",
    "volume_detached", "volume_grown", "volume_deleted",
]  # fmt: skip

_ENDS = ("failed", "deleted", "preempted")


class Event(Frozen):
    """One thing that happened.

    Attributes:
        at: When, by the simulated clock.
        what: What.
        thing_id: The cloud's id of the machine or volume.
        name: What it is called.
    """

    at: AwareDatetime
    what: What
    thing_id: str
    name: str


class Report(Frozen):
    """What tests count.

    Attributes:
        spent_usd: Rent of all machines and volumes until now, in USD, by the second.
        orders: How many machines were ever ordered, by name.
        most_alive: How many machines of one name were ever billed at once, by name.
        alive: Names of the machines that are billed now; one that occurs twice was bought twice.
        volumes: Names of the volumes that exist.
        volumes_deleted: Names of the volumes that were deleted.
    """

    spent_usd: float
    orders: dict[str, int]
    most_alive: dict[str, int]
    alive: tuple[str, ...]
    volumes: tuple[str, ...]
    volumes_deleted: tuple[str, ...]


class Ledger:
    """All events in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, at: datetime, what: What, thing_id: str, name: str) -> None:
        """Take note of an event."""
        self.events.append(Event(at=at, what=what, thing_id=thing_id, name=name))

    def report(self, spent_usd: float) -> Report:
        """Return what the events come to."""
        orders: dict[str, int] = defaultdict(int)
        most: dict[str, int] = defaultdict(int)
        alive: dict[str, str] = {}
        volumes: dict[str, str] = {}
        deleted: list[str] = []
        for event in self.events:
            if event.what == "ordered":
                orders[event.name] += 1
                alive[event.thing_id] = event.name
                most[event.name] = max(most[event.name], list(alive.values()).count(event.name))
            elif event.what in _ENDS:
                alive.pop(event.thing_id, None)
            elif event.what == "volume_made":
                volumes[event.thing_id] = event.name
            elif event.what == "volume_deleted":
                deleted.append(volumes.pop(event.thing_id))
        return Report(
            spent_usd=spent_usd,
            orders=dict(orders),
            most_alive=dict(most),
            alive=tuple(sorted(alive.values())),
            volumes=tuple(sorted(volumes.values())),
            volumes_deleted=tuple(sorted(deleted)),
        )
