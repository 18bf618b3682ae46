"""What a watch does next, from what its journal knows and what it sees: pure, every doubt ends in doing nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from nodestack.clouds.base import Frozen
from nodestack.lifecycle.journal import Memory, Step
from nodestack.settings.watch import WatchSettings

Health: TypeAlias = Literal["alive", "stopped", "gone", "none", "unclear"]
"""Of a stack's node: it exists, is switched off, is surely no more, was never known, or its cloud cannot be asked."""

Do: TypeAlias = Literal["nothing", "wait", "refuse", "replace", "go_on", "park", "drain"]

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
STAYS_AFTER = timedelta(minutes=10)
"""How long after its time a node of which notice was given is not believed to stay."""
MOST_FAILURES = 6
"""Runs in a row that fail on a node that exists, before it is given up."""

_NIGHT = "the night"
_HOURS_OVER = "its hours on demand are over"


class Seen(Frozen):
    """What is seen of a stack.

    Attributes:
        at: When.
        busy: Whether another run is at work on it.
        health: Its node's.
        node_id: The cloud's id of that node, "" for none.
        is_recorded: Whether the stack's state knows a node; one of the name that it does not know is found, too.
        because: Why it is gone, or what the cloud said in place of an answer.
        has_volume: Whether its weights volume surely exists; looked for where a node is to be bought.
        usd_per_hour: The node's price; None where its cloud does not say.
        since: When its cloud took the order; None where it does not say.
        reclaimed_at: When its cloud takes it back, where it gave notice.
        idle_s: Seconds since a client's last request; None where that is not asked or not known.
    """

    at: AwareDatetime
    busy: bool = False
    health: Health = "none"
    node_id: str = ""
    is_recorded: bool = True
    because: str = ""
    has_volume: bool = True
    usd_per_hour: float | None = None
    since: AwareDatetime | None = None
    reclaimed_at: AwareDatetime | None = None
    idle_s: float | None = None


class Action(Frozen):
    """What to do.

    Attributes:
        do: `nothing`, all is as it should be. `wait`, it is not, and time may mend it. `refuse`, a person must.
            `replace`, or `go_on` with the run that was begun. `park`, remove the node. `drain` it, its cloud takes it.
        because: Why, for a person.
    """

    do: Do
    because: str


class Choice(Frozen):
    """Which node to buy.

    Attributes:
        step: By which words of the settings; None where none can be had.
        because: Why none, or why not an earlier one.
    """

    step: Step | None
    because: str


def decide(terms: WatchSettings, memory: Memory, seen: Seen) -> Action:
    """Return what to do next.

    A node is replaced only where its cloud surely has it no more; what is unclear changes nothing.

    Args:
        terms: What the stack allows.
        memory: What its journal knows.
        seen: What is seen of it.
    """
    if seen.busy:
        return Action(do="wait", because=f"another run is at work: {seen.because}")
    if memory.parking_because:
        return _patiently(memory, seen.at, Action(do="park", because=memory.parking_because))
    if not _is_wanted(memory, seen):
        return _parked(terms, memory, seen)
    if seen.health == "unclear":
        return Action(do="wait", because=f"the cloud gives no clear answer, so nothing is changed: {seen.because}")
    return _to_park(terms, memory, seen) or _to_keep(terms, memory, seen)


def choose(terms: WatchSettings, memory: Memory, prices: Mapping[Step, float | None], now: datetime) -> Choice:
    """Return the first way to buy a node, in the order declared, that can be had and is within budget.

    Args:
        terms: What the stack allows.
        memory: What its journal knows; what failed in this round is not tried again in it.
        prices: What the cheapest node costs now in USD an hour, by step; None where none fits.
        now: The time now.
    """
    passed: list[str] = []
    over = _on_demand_is_over(terms, memory, now)
    for step in steps(terms):
        price = prices.get(step)
        if step in memory.tried:
            passed.append(f"{step} failed")
        elif step == "on_demand" and over:
            passed.append(f"on_demand: {_HOURS_OVER}")
        elif price is None:
            passed.append(f"{step}: nothing fits")
        elif not _within_budget(terms, memory, price, now):
            passed.append(f"{step}: {price:.2f} USD/h is not within the budget")
        else:
            return Choice(step=step, because=", ".join(passed))
    return Choice(step=None, because=", ".join(passed))


def steps(terms: WatchSettings) -> tuple[Step, ...]:
    """Return all ways to buy a node, in the order in which they are tried."""
    return ("declared", *(one for one in terms.fallbacks if one != "park"))


def wait_for(failures: int) -> timedelta:
    """Return how long to wait after so many failures: twice as long after each, up to half an hour.

    >>> [int(wait_for(count).total_seconds()) for count in (0, 1, 2, 3, 99)]
    [0, 30, 60, 120, 1800]
    """
    if failures <= 0:
        return timedelta(0)
    return min(FIRST_WAIT * (1 << min(failures - 1, 16)), LONGEST_WAIT)


def night_began(terms: WatchSettings, now: datetime) -> datetime | None:
    """Return when the night that it is began, None where it is none.

    >>> from datetime import UTC
    >>> night_began(WatchSettings(night="22:00-06:30"), datetime(2026, 1, 2, 1, tzinfo=UTC))
    datetime.datetime(2026, 1, 1, 22, 0, tzinfo=datetime.timezone.utc)
    """
    if terms.night_hours is None:
        return None
    begins, ends = terms.night_hours
    local = now.astimezone(terms.zone)
    for day in (local.date(), local.date() - timedelta(days=1)):
        begin = datetime.combine(day, begins, terms.zone)
        end = datetime.combine(day if ends > begins else day + timedelta(days=1), ends, terms.zone)
        if begin <= local < end:
            return begin.astimezone(now.tzinfo)
    return None


def _is_wanted(memory: Memory, seen: Seen) -> bool:
    # Before anybody said: what has a node was brought up by somebody.
    return seen.is_recorded if memory.wanted is None else memory.wanted


def _parked(terms: WatchSettings, memory: Memory, seen: Seen) -> Action:
    if memory.parked_because == _NIGHT and night_began(terms, seen.at) is None:
        return _patiently(memory, seen.at, _to_buy(seen, "the night is over"))
    if memory.parked_because and seen.health in ("alive", "stopped"):
        why = f"it is parked ({memory.parked_because}), and yet node {seen.node_id} is there and may well be billed"
        return Action(do="refuse", because=f"{why}: run nodestack park, or nodestack up")
    why = f"parked: {memory.parked_because}" if memory.parked_because else "nobody brought it up"
    return Action(do="nothing", because=why)


def _to_park(terms: WatchSettings, memory: Memory, seen: Seen) -> Action | None:
    began = night_began(terms, seen.at)
    if memory.lease_until is not None and seen.at >= memory.lease_until:
        return Action(do="park", because="its lease ended")
    if began is not None and (memory.wanted_at is None or memory.wanted_at < began):
        return Action(do="park", because=_NIGHT)
    is_idle = terms.idle_minutes is not None and (seen.idle_s or 0) >= 60 * terms.idle_minutes
    if seen.health == "alive" and is_idle and not memory.trying:
        return Action(do="park", because=f"no client asked anything for {terms.idle_minutes} minutes")
    return None


def _to_keep(terms: WatchSettings, memory: Memory, seen: Seen) -> Action:
    if seen.health == "stopped":
        why = f"node {seen.node_id} is switched off and may well be billed: start it at its cloud, or park the stack"
        return Action(do="refuse", because=why)
    if seen.health != "alive":
        return _patiently(memory, seen.at, _to_buy(seen, seen.because or "it has no node"), memory.rounds)
    return _to_keep_alive(terms, memory, seen)


def _to_keep_alive(terms: WatchSettings, memory: Memory, seen: Seen) -> Action:
    if _on_demand_is_over(terms, memory, seen.at):
        return Action(do="replace", because=_HOURS_OVER)
    if seen.reclaimed_at is not None and seen.at < seen.reclaimed_at + STAYS_AFTER:
        why = f"its cloud takes it back at {seen.reclaimed_at:%H:%M:%S} UTC"
        return Action(do="wait", because=f"drained, {why}") if memory.drained else Action(do="drain", because=why)
    if memory.failures >= MOST_FAILURES:
        return _given_up(terms, seen, memory.failures)
    if memory.drained and not memory.failures:
        return Action(do="go_on", because="it was drained, and its cloud left it")
    if memory.trying or memory.failures or not seen.is_recorded:
        why = "its last run did not end well" if seen.is_recorded else "its node is in no state"
        return _patiently(memory, seen.at, Action(do="go_on", because=why))
    return Action(do="nothing", because="its node is there")


def _to_buy(seen: Seen, because: str) -> Action:
    if seen.health == "unclear":
        return Action(do="wait", because=f"the cloud gives no clear answer, so nothing is changed: {seen.because}")
    if not seen.has_volume:
        return Action(
            do="refuse",
            because="its weights volume is gone, and another one would start empty: `nodestack up` makes it",
        )
    return Action(do="replace", because=because)


def _given_up(terms: WatchSettings, seen: Seen, failures: int) -> Action:
    why = f"{failures} runs in a row failed on node {seen.node_id}"
    if "park" in terms.fallbacks:
        return Action(do="park", because=why)
    return Action(do="refuse", because=f"{why}: look at the last one's message, then run `nodestack up`")


def _patiently(memory: Memory, now: datetime, action: Action, failures: int | None = None) -> Action:
    """Return the action, or to wait for a while where the last ones failed."""
    count = memory.failures if failures is None else failures
    if memory.failed_at is None or action.do in ("wait", "refuse"):
        return action
    left = memory.failed_at + wait_for(count) - now
    if left <= timedelta(0):
        return action
    return Action(do="wait", because=f"{action.because}; tried again in {left.total_seconds():.0f} s")


def _on_demand_is_over(terms: WatchSettings, memory: Memory, now: datetime) -> bool:
    since = memory.on_demand_since
    return since is not None and now >= since + timedelta(hours=terms.on_demand_hours)


def _within_budget(terms: WatchSettings, memory: Memory, price: float, now: datetime) -> bool:
    budget = terms.budget_usd_per_day
    return budget is None or memory.usd_of_the_last_day(now) + price <= budget
