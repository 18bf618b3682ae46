"""A watch over a stack of a simulated cloud, asked over HTTP by the real client; its clock is the cloud's and moves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from nodestack.automation.journal import Journal
from nodestack.automation.watcher import Held, Watcher
from nodestack.clouds.base import Cloud, Node
from nodestack.clouds.offers import OfferQuery
from nodestack.errors import NodestackError
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.journal import Entry, Step, What
from nodestack.lifecycle.watch import Action
from nodestack.settings.watch import WatchSettings
from tests.clouds.markets import Market, open_market
from tests.lifecycle.stack import StackAt

SPOT = OfferQuery(gpu="H100", gpu_count=8, sxm=True, market="spot")
ON_DEMAND = SPOT.model_copy(update={"market": "on_demand"})
WISHES: dict[Step, Wish] = {
    "declared": Wish(query=SPOT, max_usd_per_hour=20),
    "region": Wish(query=SPOT, max_usd_per_hour=20),
    "offer": Wish(query=SPOT, max_usd_per_hour=50),
    "on_demand": Wish(query=ON_DEMAND),
}
TERMS = WatchSettings(fallbacks=("on_demand", "park"), on_demand_hours=4)


class Killed(BaseException):
    """The process ends here and now: no handler of it ever runs."""


@dataclass
class Bomb:
    """Kills at the n-th thing that is done; never where that is None."""

    at: int | None = None
    ticks: int = 0

    def tick(self) -> None:
        """Something is done."""
        self.ticks += 1
        if self.ticks == self.at:
            raise Killed


class Fragile:
    """An object whose calls can be killed before they have an effect and after it."""

    def __init__(self, inner: Any, bomb: Bomb) -> None:
        self._inner, self._bomb = inner, bomb

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._bomb.tick()
            answer = found(*arguments, **named)
            self._bomb.tick()
            return answer

        return call


class StackRuns(StackAt[Market]):
    """Implements `Runs` as the engine and its plugin do, without either: a state that knows what was recorded.

    Attributes:
        state: What is in the state.
        refusals: Exit statuses that the next runs end with, before they do anything.
        struck: How many of the next runs have their node taken while they configure it.
        told_idle_s: What the node says.
        drained: Nodes that were drained.
        upped: Which steps runs were begun for.
        busy: Who else is at work.
    """

    def __init__(self, sim: Market) -> None:
        super().__init__(sim)
        self.state = Held()
        self.refusals: list[int] = []
        self.struck = 0
        self.told_idle_s: float | None = None
        self.drained: list[str] = []
        self.upped: list[Step] = []
        self.busy = ""

    def at_work(self) -> str:
        return self.busy

    def held(self) -> Held:
        return self.state

    def known(self, node: Node, ordered: bool) -> None:
        self.state = Held(node_id=node.node_id, volume_id=self.state.volume_id)

    def up(self, step: Step) -> int:  # type: ignore[override]
        self.upped.append(step)
        if self.refusals:
            return self.refusals.pop(0)
        try:
            volume = self.volume(WISHES[step])
            self.state = Held(node_id=self.state.node_id, volume_id=volume.volume_id)
            self.node(volume, WISHES[step])
        except NodestackError as error:
            self.tell(str(error))
            return 1
        if not self.struck:
            return 0
        self.struck -= 1
        # Long enough to cost something.
        self.sim.world.advance(600)
        self.sim.world.preempt(self.state.node_id)
        return 1

    def down(self) -> int:  # type: ignore[override]
        if self.state.node_id:
            super().down(self.state.node_id)
        self.state = Held(volume_id=self.state.volume_id)
        return 0

    def drain(self, node_id: str) -> None:
        self.drained.append(node_id)

    def idle_s(self, node_id: str) -> float | None:
        return self.told_idle_s


@dataclass
class Bench:
    """A stack, its cloud, and watches over it.

    Attributes:
        market: The cloud.
        runs: What acts on the stack.
        directory: Where its journal is.
        terms: What the stack allows.
        wishes: What each step asks for.
        bomb: Kills the next watch, where it is set.
        notices: What the cloud gives notice of, by node.
    """

    market: Market
    runs: StackRuns
    directory: Path
    terms: WatchSettings = TERMS
    wishes: dict[Step, Wish] = field(default_factory=lambda: dict(WISHES))
    bomb: Bomb = field(default_factory=Bomb)
    said: list[str] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.directory / "spot.jsonl")

    @property
    def now(self) -> datetime:
        return self.market.world.now()

    def watcher(self) -> Watcher:
        """Return a watch as a process that just started has it."""
        return Watcher(
            cloud=cast(Cloud, Fragile(self.market.cloud, self.bomb)),
            node_name="web",
            volume_name="weights",
            terms=self.terms,
            wishes=self.wishes,
            runs=cast(StackRuns, Fragile(self.runs, self.bomb)),
            journal=cast(Journal, Fragile(self.journal, self.bomb)),
            clock=self.market.world.now,
            tell=self.said.append,
        )

    def settle(self) -> Action:
        """Have a new watch look and do what follows."""
        return self.watcher().settle()

    def until(self, done: Callable[[], bool], minutes: float = 60 * 48, step_s: float = 60) -> None:
        """Look every so often on the cloud's clock until something is so."""
        for _ in range(int(minutes * 60 / step_s)):
            self.settle()
            if done():
                return
            self.advance(step_s)
        raise AssertionError(f"never: {self.said[-5:]}")

    def advance(self, seconds: float) -> None:
        self.market.world.advance(seconds)

    def want(self) -> None:
        """Bring the stack up as by hand."""
        self.write("wanted")
        assert self.runs.up("declared") == 0
        self.settle()

    def write(self, what: What, **told: Any) -> None:
        self.journal.write(Entry.model_validate({"at": self.now, "what": what, **told}))

    def preempt(self) -> None:
        for machine in self.market.world.living():
            self.market.world.preempt(machine.machine_id)

    def whats(self) -> list[str]:
        """What the journal says, in order."""
        return [entry.what for entry in self.journal.entries()]

    def alive(self) -> list[str]:
        return [one.order.offer.market for one in self.market.world.living()]

    def sold_out(self, offer_id: str, *, left: int = 0) -> None:
        stock = self.market.world.stock
        for key in stock:
            if key[0] == offer_id:
                stock[key] = left


@contextmanager
def opened(kind: str, directory: Path) -> Iterator[Bench]:
    """Yield a new account with a stack that was brought up."""
    with open_market(kind) as market:
        bench = Bench(market, StackRuns(market), directory)
        bench.want()
        yield bench
