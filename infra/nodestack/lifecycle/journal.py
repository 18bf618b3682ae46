"""What was done about a stack and why, as entries in order, and what they come to; a restart knows it all again."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from nodestack.clouds.base import Frozen

Step: TypeAlias = Literal["declared", "region", "offer", "on_demand"]
"""Which node is bought: the one that the stack's settings declare, or one of their fallbacks."""

What: TypeAlias = Literal[
    "wanted", "node", "gone", "unclear", "clear", "trying", "up", "failed", "exhausted", "parking", "drained", "parked",
    "lease",
]  # fmt: skip

MOST_TAKEN = 3
"""Nodes of one step that its cloud takes in a row before they ever served, until the next step is tried."""

_DAY = timedelta(hours=24)
_HOUR = timedelta(hours=1)


class Entry(Frozen):
    """One line of a journal.

    Attributes:
        at: When.
        what: `wanted`: somebody wants the stack up. `node`, `gone`: a node is there, is surely no more. `unclear`,
            `clear`: its cloud cannot be asked, answers again. `trying`, then `up` or `failed`: a run to bring the stack
            up. `exhausted`: nothing that may be bought can be had. `parking`, `drained`, `parked`: the node goes.
            `lease`: it goes at a time unless that is renewed.
        because: Why, for a person.
        node_id: The cloud's id of the node that it is about.
        usd_per_hour: For `node`: its price; None where its cloud does not say.
        since: For `node`: when its cloud took the order; None where it does not say.
        step: For `trying`, `up` and `failed`: what was to be bought.
        until: For `lease`: when it ends; None takes it away.
        hours: For `lease`: for how long it is renewed.
    """

    at: AwareDatetime
    what: What
    because: str = ""
    node_id: str = ""
    usd_per_hour: float | None = None
    since: AwareDatetime | None = None
    step: Step = "declared"
    until: AwareDatetime | None = None
    hours: float | None = None


class Rental(Frozen):
    """A node that was paid for.

    Attributes:
        node_id: The cloud's id.
        usd_per_hour: Its price; 0 where its cloud does not say.
        since: When its cloud took the order.
        until: When it was seen to be gone; None while it is there.
    """

    node_id: str
    usd_per_hour: float
    since: AwareDatetime
    until: AwareDatetime | None = None

    def usd(self, begin: datetime, end: datetime) -> float:
        """Return what it cost from `begin` to `end`."""
        first, last = max(begin, self.since), min(end, self.until or end)
        return self.usd_per_hour * max(last - first, timedelta(0)) / _HOUR


class Memory(Frozen):
    """What a journal comes to.

    Attributes:
        wanted: Whether the stack is to be up; None where nobody said.
        wanted_at: When that was said last.
        parked_because: Why it is parked, "" while it is not.
        parking_because: Why it is being parked, "" where that is not begun or is done.
        drained: Whether its node has taken no more requests since then.
        step: What was bought last, or is being bought.
        on_demand_since: When the first node of `on_demand` was ordered since another kind served last; None for none.
        trying: Whether a run began whose end nobody wrote down.
        failures: Runs that failed since the last that did not.
        rounds: How often nothing could be had since then.
        tried: What was tried in vain in this round.
        taken: Nodes in a row that were gone before they served.
        is_taken: Whether that of the run that is not ended was.
        failed_at: When the last run failed, or nothing could be had.
        unclear_since: Since when the cloud cannot be asked; None where it can.
        lease_until: When the stack is to be parked; None for never.
        lease_hours: For how long that is renewed.
        rentals: All nodes that were seen, in order.
    """

    wanted: bool | None = None
    wanted_at: AwareDatetime | None = None
    parked_because: str = ""
    parking_because: str = ""
    drained: bool = False
    step: Step = "declared"
    on_demand_since: AwareDatetime | None = None
    trying: bool = False
    failures: int = 0
    rounds: int = 0
    tried: tuple[Step, ...] = ()
    taken: int = 0
    is_taken: bool = False
    failed_at: AwareDatetime | None = None
    unclear_since: AwareDatetime | None = None
    lease_until: AwareDatetime | None = None
    lease_hours: float | None = None
    rentals: tuple[Rental, ...] = ()

    @property
    def rented(self) -> Rental | None:
        """The node that is there, as far as the journal knows."""
        return next((one for one in self.rentals if one.until is None), None)

    def began(self, node_id: str, since: datetime | None) -> bool:
        """Return whether a node that was never seen here is one that was ordered since the stack was last wanted."""
        if any(one.node_id == node_id for one in self.rentals):
            return False
        after = since is not None and self.wanted_at is not None and since >= self.wanted_at
        return after or self.trying or self.failures > 0

    def usd_of_the_last_day(self, now: datetime) -> float:
        """Return what nodes cost in the last 24 hours."""
        return sum(one.usd(now - _DAY, now) for one in self.rentals)


def remembered(entries: Iterable[Entry]) -> Memory:
    """Return what entries come to.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> remembered([Entry(at=noon, what="wanted"), Entry(at=noon, what="parked", because="asked to")]).wanted
    False
    """
    memory = Memory()
    for entry in entries:
        memory = after(memory, entry)
    return memory


def after(memory: Memory, entry: Entry) -> Memory:
    """Return what is known after one more entry."""
    return memory.model_copy(update=_CHANGES[entry.what](memory, entry))


def _wanted(memory: Memory, entry: Entry) -> dict[str, object]:
    ended = {"parked_because": "", "parking_because": "", "drained": False, "lease_until": None, "lease_hours": None}
    fresh = {"step": "declared", "on_demand_since": None, "rounds": 0, **_no_failures()}
    # A stack that is up keeps its lease: to say so once more is no renewal.
    up = memory.wanted is not False
    kept = {"lease_until": memory.lease_until, "lease_hours": memory.lease_hours} if up else {}
    return {**ended, **fresh, **kept, "wanted": True, "wanted_at": entry.at}


def _no_failures() -> dict[str, object]:
    return {"trying": False, "failures": 0, "tried": (), "taken": 0, "is_taken": False, "failed_at": None}


def _node(memory: Memory, entry: Entry) -> dict[str, object]:
    if any(one.node_id == entry.node_id and one.until is None for one in memory.rentals):
        return {}
    since = entry.since or entry.at
    # A cloud has one node of the stack at most: what was there before is gone.
    before = _ended(memory.rentals, min(since, entry.at))
    rental = Rental(node_id=entry.node_id, usd_per_hour=entry.usd_per_hour or 0.0, since=since)
    on_demand = (memory.on_demand_since or since) if memory.step == "on_demand" else memory.on_demand_since
    return {"rentals": (*before, rental), "on_demand_since": on_demand, "drained": False}


def _gone(memory: Memory, entry: Entry) -> dict[str, object]:
    ended: dict[str, object] = {"rentals": _ended(memory.rentals, entry.at)}
    if not (memory.trying or memory.failures):
        return ended
    # It never served. Its cloud had it to sell, so it is no failure of what was bought, unless that goes on.
    taken = memory.taken + 1
    tried = tuple(step for step in memory.tried if step != memory.step)
    if taken >= MOST_TAKEN:
        return ended | {"tried": (*tried, memory.step), "taken": 0}
    return ended | {"tried": tried, "taken": taken, "is_taken": memory.trying}


def _ended(rentals: tuple[Rental, ...], at: datetime) -> tuple[Rental, ...]:
    return tuple(one if one.until is not None else one.model_copy(update={"until": at}) for one in rentals)


def _up(memory: Memory, entry: Entry) -> dict[str, object]:
    since = memory.on_demand_since if entry.step == "on_demand" else None
    return {**_no_failures(), "rounds": 0, "drained": False, "step": entry.step, "on_demand_since": since}


def _failed(memory: Memory, entry: Entry) -> dict[str, object]:
    if memory.is_taken:
        return {"trying": False, "is_taken": False}
    tried = memory.tried if entry.step in memory.tried else (*memory.tried, entry.step)
    return {"trying": False, "failures": memory.failures + 1, "tried": tried, "failed_at": entry.at}


def _parked(memory: Memory, entry: Entry) -> dict[str, object]:
    return {
        **_wanted(memory, entry),
        "wanted": False,
        "parked_because": entry.because,
        "lease_until": None,
        "lease_hours": None,
        "rentals": _ended(memory.rentals, entry.at),
    }


_CHANGES: dict[What, Callable[[Memory, Entry], dict[str, object]]] = {
    "wanted": _wanted,
    "node": _node,
    "gone": _gone,
    "unclear": lambda memory, entry: {"unclear_since": memory.unclear_since or entry.at},
    "clear": lambda memory, entry: {"unclear_since": None},
    "trying": lambda memory, entry: {"trying": True, "is_taken": False, "step": entry.step},
    "up": _up,
    "failed": _failed,
    "exhausted": lambda memory, entry: {"rounds": memory.rounds + 1, "tried": (), "taken": 0, "failed_at": entry.at},
    "parking": lambda memory, entry: {"parking_because": entry.because, "drained": False},
    "drained": lambda memory, entry: {"drained": True},
    "parked": _parked,
    "lease": lambda memory, entry: {"lease_until": entry.until, "lease_hours": entry.hours},
}
