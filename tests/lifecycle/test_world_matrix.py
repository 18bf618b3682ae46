"""What happens to a node or a volume behind the API's back, at each stage of a stack's life: the next run mends it."""

import itertools
from collections.abc import Callable, Iterator
from threading import Event
from typing import NamedTuple

import pytest

from nodestack.clouds.base import Node, Progress
from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.world import World
from nodestack.errors import ReachError, WrongHostKey
from tests.clouds.markets import REQUESTS, Market, open_market
from tests.lifecycle.matrix import Record, conclude, sampled, try_all
from tests.lifecycle.stack import StackAt, is_weights

pytestmark = pytest.mark.independent

DROPPED, ELSEWHERE = "cloud-init is dropped", "the volume is in another region"


def _show_a_strange_status(world: World, machine_id: str) -> None:
    world.machine(machine_id).shown_status = "rebooting"


HAPPENINGS: dict[str, Callable[[World, str], None]] = {
    "the node is preempted": World.preempt,
    "the node vanishes": World.vanish,
    "the node never comes up": World.fail,
    "the node is switched off": World.stop,
    "the node has a status nobody knows": _show_a_strange_status,
}
STAGES = ["as soon as it is ordered", "once it answers", "while it serves", "while it is deleted"]
BEFORE_THE_ORDER = "before the order"
ANSWERS = [None, Kind.ERROR_AFTER, Kind.TIMEOUT_AFTER, Kind.CUT_AFTER]
# No divisor of how many there are of anything, so that all have a turn.
SAMPLE_STEP = 13


class Case(NamedTuple):
    """What happens, when, how the order is answered, and how many calls lists lag behind."""

    cloud: str
    happening: str
    stage: str
    answer: Kind | None = None
    lag: int = 0

    @property
    def name(self) -> str:
        """The case in words."""
        answer = f", the order's answer: {self.answer.value}" if self.answer else ""
        return f"{self.cloud}: {self.happening}, {self.stage}{answer}, lists lag by {self.lag}"


def _cases(cloud: str) -> Iterator[Case]:
    for happening, stage, lag in itertools.product(HAPPENINGS, STAGES, [0, 2]):
        yield Case(cloud, happening, stage, lag=lag)
    for happening, answer, lag in itertools.product([DROPPED, ELSEWHERE], ANSWERS, [0, 2]):
        yield Case(cloud, happening, BEFORE_THE_ORDER, answer, lag)


CASES = [case for cloud in REQUESTS for case in _cases(cloud)]


class Struck(StackAt[Market]):
    """A stack to which something happens once, and which knows its nodes by their host key."""

    def __init__(self, sim: Market, case: Case) -> None:
        super().__init__(sim)
        self.case = case
        self.happened = False

    def known(self, node: Node, ordered: bool) -> None:
        self.at("as soon as it is ordered")

    def wait(self, node: Node, progress: Progress, cancelled: Event) -> None:
        self.at("once it answers")
        machine = self.sim.world.machines.get(node.node_id)
        if machine is None:
            raise ReachError("no answer")
        if not machine.order.files:
            raise WrongHostKey(f"{node.address} answers with another host key")

    def tell(self, line: str) -> None:
        super().tell(line)
        if line.startswith("deleting node"):
            self.at("while it is deleted")

    def down(self, node_id: str, patience_s: float | None = None) -> None:
        self.at("while it serves")
        super().down(node_id, patience_s)

    def at(self, stage: str) -> None:
        """Have it happen, where this is its stage."""
        if stage == self.case.stage and not self.happened:
            self.happened = True
            for machine in self.sim.world.living():
                HAPPENINGS[self.case.happening](self.sim.world, machine.machine_id)


@pytest.mark.parametrize("case", sampled(CASES, SAMPLE_STEP))
def test_after_whatever_happens_the_next_run_gets_through(case: Case, record_property: Record) -> None:
    with open_market(case.cloud, hasty=case.answer is Kind.TIMEOUT_AFTER) as market:
        stack = Struck(market, case)
        market.world.rules = market.world.rules.model_copy(update={"lists_lag_calls": case.lag})
        mend = _begin(stack)
        for _ in range(2):
            try_all(stack)
        assert stack.happened
        mend()
        conclude(stack, record_property, mend=mend)


def _begin(stack: Struck) -> Callable[[], None]:
    """Have happen what does before the order, and return what takes all of it back."""
    market, case = stack.sim, stack.case
    world = market.world
    places: dict[str, str] = {}
    if case.answer:
        market.fail(case.answer, "ordering the node")
    if case.happening == DROPPED:
        stack.happened = True
        world.rules = world.rules.model_copy(update={"drop_cloud_init": True})
    if case.happening == ELSEWHERE:
        stack.happened = True
        stack.volume()
        for disk in world.disks.values():
            places[disk.disk_id], disk.region = disk.region, "far-away"

    def mend() -> None:
        market.faults.clear()
        world.rules = world.rules.model_copy(update={"drop_cloud_init": False})
        for machine in world.machines.values():
            machine.shown_status = ""
        for disk in world.disks.values():
            if is_weights(disk.name):
                disk.region = places.get(disk.disk_id, disk.region)

    return mend
