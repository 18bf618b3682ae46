"""Each fault at each request of a stack's life: the next run gets through, with one node and every volume."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.machines import Order
from tests.clouds.markets import REQUESTS, Market, open_market
from tests.lifecycle.matrix import Record, conclude, sampled, try_all
from tests.lifecycle.stack import StackAt

pytestmark = pytest.mark.independent

KINDS = [
    Kind.TOO_MANY, Kind.ERROR_BEFORE, Kind.ERROR_AFTER, Kind.TIMEOUT_BEFORE, Kind.TIMEOUT_AFTER, Kind.CUT_BEFORE,
    Kind.CUT_AFTER, Kind.GARBLED,
]  # fmt: skip
ONCE, UNTIL_THE_END = 1, 10**6
SLOW = [Kind.TIMEOUT_BEFORE, Kind.TIMEOUT_AFTER]
BOUGHT = ["making the volume", "ordering the node"]
REFUSALS = {
    "spheron": [
        *itertools.product([Kind.OUT_OF_STOCK, Kind.NAME_TAKEN, Kind.INSUFFICIENT_BALANCE], BOUGHT),
        *itertools.product([Kind.WRONG_REGION], ["ordering the node", "attaching the volume"]),
        (Kind.MINIMUM_RUNTIME, "deleting the node"),
    ],
    # It keeps no names unique, and lets a node be deleted at any time.
    "verda": [
        *itertools.product([Kind.OUT_OF_STOCK, Kind.INSUFFICIENT_BALANCE], BOUGHT),
        (Kind.WRONG_REGION, "ordering the node"),
    ],
}
# Spheron's lists come in pages, of two here; neighbours fill three of them.
PAGED = ["listing volumes", "listing nodes"]
NEIGHBOURS = ("web-1", "we", "web1", "weights-1", "weight")
# Of all cases every so many runs each time: no divisor of how many there are of anything, so that all have a turn.
SAMPLE_STEP = 23


class Case(NamedTuple):
    """A fault, where it strikes, how often, and how many calls lists lag behind.

    Attributes:
        cloud: Whose request it is.
        kind: How it goes wrong.
        request: What it is for.
        times: How often it goes wrong.
        lag: How many listings do not show a new thing yet.
        page: Which page of a list goes wrong, where there are several; 0 for lists of one page.
    """

    cloud: str
    kind: Kind
    request: str
    times: int = ONCE
    lag: int = 0
    page: int = 0

    @property
    def name(self) -> str:
        """The case in words."""
        how_often = "once" if self.times == ONCE else "always"
        page = f" (page {self.page} of 3)" if self.page else ""
        return f"{self.cloud}: {self.kind.value}, {self.request}{page}, {how_often}, lists lag by {self.lag}"


def _cases(cloud: str) -> Iterator[Case]:
    requests = REQUESTS[cloud]
    for kind, request, lag in itertools.product(KINDS, requests, [0, 2]):
        yield Case(cloud, kind, request, ONCE, lag)
    for kind, request in itertools.product([kind for kind in KINDS if kind not in SLOW], requests):
        yield Case(cloud, kind, request, UNTIL_THE_END)
    for (kind, request), times, lag in itertools.product(REFUSALS[cloud], [ONCE, UNTIL_THE_END], [0, 2]):
        if kind is not Kind.MINIMUM_RUNTIME or times == ONCE:
            yield Case(cloud, kind, request, times, lag)
    if cloud == "spheron":
        for kind, request, page in itertools.product(KINDS, PAGED, [1, 2, 3]):
            yield Case(cloud, kind, request, ONCE, page=page)


CASES = [case for cloud in REQUESTS for case in _cases(cloud)]


def _fill_pages(market: Market) -> None:
    """Have the account list others' things: nodes that ended, and volumes."""
    offer = market.world.market[0]
    for name in NEIGHBOURS:
        market.world.delete(market.world.order(Order(name=name, offer=offer)).machine_id)
        market.world.make_disk(name, 1, offer.provider, offer.region)


@pytest.mark.parametrize("case", sampled(CASES, SAMPLE_STEP))
def test_after_each_fault_the_next_run_gets_through(case: Case, record_property: Record) -> None:
    with open_market(case.cloud, hasty=case.kind in SLOW) as market:
        stack = StackAt(market)
        if case.page:
            _fill_pages(market)
        market.world.rules = market.world.rules.model_copy(update={"lists_lag_calls": case.lag})
        market.fail(case.kind, case.request, nth=max(case.page, 1), times=case.times)
        for _ in range(2):
            try_all(stack)
        if case.request != "deleting the volume":
            assert market.faults.struck(case.kind), "it never struck"
            market.faults.clear()
        conclude(stack, record_property, mend=market.faults.clear)
        assert market.faults.struck(case.kind), "it never struck"
