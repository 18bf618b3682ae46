"""Looks at a stack, has it decided what is to be done, and does it; each step is in the journal before it is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nodestack.automation.journal import Journal
from nodestack.clouds.base import Cloud, Node, NodeStatus, Volume
from nodestack.errors import AmbiguousError, CloudError, NodestackError, RecoveryError
from nodestack.lifecycle import choose
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.journal import Entry, Step, What
from nodestack.lifecycle.watch import Action, Seen, decide
from nodestack.lifecycle.watch import choose as choose_step
from nodestack.settings.watch import WatchSettings

_OWN = {"wait", "refuse", "nothing"}


@dataclass(frozen=True)
class Held:
    """What a stack's state knows.

    Attributes:
        node_id: The cloud's id of its node, "" for none.
        volume_id: That of its weights volume, "" for none.
    """

    node_id: str = ""
    volume_id: str = ""


class Runs(Protocol):
    """What acts on a stack, and what the checkout knows of it."""

    def at_work(self) -> str:
        """Return which other run is at work on it, "" where none is."""

    def held(self) -> Held:
        """Return what its state knows."""

    def up(self, step: Step) -> int:
        """Bring it up with the node that a step buys, and return the engine's exit status."""

    def down(self) -> int:
        """Remove all but its volume, and return the engine's exit status."""

    def drain(self, node_id: str) -> None:
        """Have its node finish what runs and take no more; raises NodestackError."""

    def idle_s(self, node_id: str) -> float | None:
        """Return for how long no client asked anything, None where that cannot be told."""


@dataclass(frozen=True)
class Watcher:
    """A watch over one stack.

    Attributes:
        cloud: The account that it lives in.
        node_name: What its node is called there.
        volume_name: What its weights volume is called there.
        terms: What the stack allows.
        wishes: What each step asks the cloud for; empty where it sells one thing only.
        runs: What acts on the stack.
        journal: What was done.
        clock: Returns the time now.
        tell: Takes a line about what is done.
    """

    cloud: Cloud
    node_name: str
    volume_name: str
    terms: WatchSettings
    wishes: Mapping[Step, Wish]
    runs: Runs
    journal: Journal
    clock: Callable[[], datetime]
    tell: Callable[[str], None]

    def settle(self) -> Action:
        """Look and act until there is nothing more to be done now; return why."""
        while True:
            action = self.turn()
            if action.do in _OWN:
                return action

    def turn(self) -> Action:
        """Look once and do what follows; return what was done, or why nothing."""
        seen = self.look()
        self._note(seen)
        action = decide(self.terms, self.journal.memory(), seen)
        if action.do not in _OWN:
            self.tell(f"{action.do.replace('_', ' ')}: {action.because}")
        match action.do:
            case "replace":
                return self._replace(action, seen)
            case "go_on":
                return self._up(self.journal.memory().step, action)
            case "park":
                return self.park(action.because, seen)
            case "drain":
                self._drain(seen)
        return action

    def look(self) -> Seen:
        """Return what is seen of the stack; whatever goes wrong on the way to its cloud is unclear, never gone."""
        now, busy = self.clock(), self.runs.at_work()
        if busy:
            return Seen(at=now, busy=True, because=busy)
        held = Held()
        try:
            held = self.runs.held()
            return self._ask(now, held)
        except NodestackError as error:
            known = bool(held.node_id)
            return Seen(at=now, health="unclear", node_id=held.node_id, is_recorded=known, because=str(error))

    def park(self, because: str, seen: Seen) -> Action:
        """Remove the node and keep the volume; what was begun is gone on with."""
        memory = self.journal.memory()
        if not memory.parking_because:
            self._write("parking", because=because)
        if seen.health == "alive" and not memory.drained:
            self._drain(seen)
        try:
            status = self.runs.down()
        except RecoveryError as busy:
            return Action(do="wait", because=str(busy))
        except NodestackError as error:
            return self._failed(memory.step, f"parking failed: {error}")
        if status:
            return self._failed(memory.step, "parking failed: the engine said why")
        self._write("parked", because=because)
        return Action(do="park", because=because)

    def _ask(self, now: datetime, held: Held) -> Seen:
        node = self.cloud.read_node(held.node_id) if held.node_id else None
        if node is not None and node.status is not NodeStatus.TERMINATED:
            return self._seen(now, node, is_recorded=True)
        # Asked in another way as well: two answers must agree before a node is believed to be gone.
        found = self.cloud.find_node(self.node_name)
        if found is not None and found.status is not NodeStatus.TERMINATED:
            if found.node_id == held.node_id:
                raise AmbiguousError(f"node {held.node_id} is gone by its id and there by its name")
            return self._seen(now, found, is_recorded=False)
        return Seen(
            at=now,
            health="gone" if held.node_id else "none",
            node_id=held.node_id,
            is_recorded=bool(held.node_id),
            because=f"node {held.node_id} is {(node and node.ended_because) or 'gone'}" if held.node_id else "",
            has_volume=self._volume(held) is not None,
            usd_per_hour=node.usd_per_hour if node else None,
            since=node.created_at if node else None,
        )

    def _seen(self, now: datetime, node: Node, *, is_recorded: bool) -> Seen:
        asked = self.terms.idle_minutes is not None and is_recorded and node.status is NodeStatus.RUNNING
        return Seen(
            at=now,
            health="stopped" if node.status is NodeStatus.STOPPED else "alive",
            node_id=node.node_id,
            is_recorded=is_recorded,
            usd_per_hour=node.usd_per_hour,
            since=node.created_at,
            reclaimed_at=node.reclaimed_at,
            idle_s=self.runs.idle_s(node.node_id) if asked else None,
        )

    def _volume(self, held: Held) -> Volume | None:
        by_id = self.cloud.read_volume(held.volume_id) if held.volume_id else None
        return by_id or self.cloud.find_volume(self.volume_name)

    def _note(self, seen: Seen) -> None:
        """Write down what is news."""
        memory = self.journal.memory()
        if seen.busy:
            return
        if (seen.health == "unclear") != (memory.unclear_since is not None):
            self._write("unclear" if seen.health == "unclear" else "clear", because=seen.because)
        rented = memory.rented
        if seen.health in ("alive", "stopped") and (rented is None or rented.node_id != seen.node_id):
            self._note_node(seen)
        elif seen.health == "gone" and memory.began(seen.node_id, seen.since):
            # It came and went between two looks, and is paid for all the same.
            self._note_node(seen)
            self._write("gone", because=seen.because, node_id=seen.node_id)
        elif seen.health in ("gone", "none") and rented is not None:
            self._write("gone", because=seen.because, node_id=rented.node_id)

    def _note_node(self, seen: Seen) -> None:
        told = {"node_id": seen.node_id, "usd_per_hour": seen.usd_per_hour, "since": seen.since}
        self.journal.write(Entry.model_validate({"at": seen.at, "what": "node", **told}))

    def _replace(self, action: Action, seen: Seen) -> Action:
        if self.journal.memory().wanted is not True:
            self._write("wanted", because=action.because)
        try:
            prices = self._prices()
        except CloudError as error:
            return Action(do="wait", because=f"what is for sale could not be asked: {error}")
        choice = choose_step(self.terms, self.journal.memory(), prices, self.clock())
        if choice.step is not None:
            return self._up(choice.step, action)
        if "park" in self.terms.fallbacks:
            return self.park(f"nothing can be had: {choice.because}", seen)
        self._write("exhausted", because=choice.because)
        return Action(do="wait", because=f"nothing can be had: {choice.because}")

    def _prices(self) -> dict[Step, float | None]:
        if not self.wishes:
            return {"declared": 0.0}
        volume = self._volume(self.runs.held())
        near = {step: wish if volume is None else wish.near(volume) for step, wish in self.wishes.items()}
        fit = {step: choose.fitting(self.cloud.offers(wish.query), wish) for step, wish in near.items()}
        return {step: offers[0].usd_per_hour if offers else None for step, offers in fit.items()}

    def _up(self, step: Step, action: Action) -> Action:
        self._write("trying", because=action.because, step=step)
        try:
            status = self.runs.up(step)
        except RecoveryError as busy:
            return Action(do="wait", because=str(busy))
        except NodestackError as error:
            return self._failed(step, str(error))
        self._note(self.look())
        if status:
            return self._failed(step, "the engine said why")
        self._write("up", step=step)
        return action

    def _failed(self, step: Step, because: str) -> Action:
        self._write("failed", because=because, step=step)
        self.tell(f"failed: {because}")
        return Action(do="go_on", because=because)

    def _drain(self, seen: Seen) -> None:
        try:
            self.runs.drain(seen.node_id)
        except NodestackError as error:
            # It goes in any case: what cannot be reached cannot be waited for.
            self.tell(f"not drained: {error}")
        self._write("drained", node_id=seen.node_id)

    def _write(self, what: What, **told: str) -> None:
        self.journal.write(Entry.model_validate({"at": self.clock(), "what": what, **told}))
