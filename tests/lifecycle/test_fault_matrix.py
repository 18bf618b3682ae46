"""Each fault at each request of a stack's life: the next run gets through, with one node and every volume."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import pytest

from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.things import Rules
from nodestack.errors import CloudError
from tests.clouds.spheron.bench import Spheron
from tests.lifecycle.stack import Stack

KINDS = [
    Kind.TOO_MANY, Kind.ERROR_BEFORE, Kind.ERROR_AFTER, Kind.TIMEOUT_BEFORE, Kind.TIMEOUT_AFTER, Kind.CUT_BEFORE,
    Kind.CUT_AFTER, Kind.GARBLED,
]  # fmt: skip
REQUESTS = {
    "asking for offers": ("GET", "/api/gpu-offers"),
    "asking for the balance": ("GET", "/api/balance"),
    "listing volumes": ("GET", "/api/volumes"),
    "making the volume": ("POST", "/api/volumes"),
    "reading the volume": ("GET", "/api/volumes/.*"),
    "attaching the volume": ("POST", "/api/volumes/.*/attach"),
    "listing nodes": ("GET", "/api/deployments"),
    "ordering the node": ("POST", "/api/deployments"),
    "reading the node": ("GET", "/api/deployments/.*"),
    "deleting the node": ("DELETE", "/api/deployments/.*"),
    "deleting the volume": ("DELETE", "/api/volumes/.*"),
}
ONCE, UNTIL_THE_END = 1, 10**6
REFUSALS = [Kind.OUT_OF_STOCK, Kind.NAME_TAKEN, Kind.INSUFFICIENT_BALANCE]
SLOW = [Kind.TIMEOUT_BEFORE, Kind.TIMEOUT_AFTER]
# Of all cases every seventh runs each time: it has no common divisor with the number of requests, so all have a turn.
SAMPLE_STEP = 7


class Case(NamedTuple):
    """A fault, where it strikes, how often, and how many calls lists lag behind."""

    kind: Kind
    request: str
    times: int
    lag: int


CASES = [
    Case(*case)
    for case in (
        *itertools.product(KINDS, REQUESTS, [ONCE], [0, 2]),
        *itertools.product([kind for kind in KINDS if kind not in SLOW], REQUESTS, [UNTIL_THE_END], [0]),
        *itertools.product(REFUSALS, ["making the volume", "ordering the node"], [ONCE, UNTIL_THE_END], [0, 2]),
        *itertools.product([Kind.MINIMUM_RUNTIME], ["deleting the node"], [ONCE], [0, 2]),
    )
]


def _named(index: int, case: Case) -> object:
    how_often = "once" if case.times == ONCE else "always"
    name = f"{case.kind.value}, {case.request}, {how_often}, lists lag by {case.lag}"
    return pytest.param(case, id=name, marks=() if index % SAMPLE_STEP == 0 else pytest.mark.qualify)


@pytest.mark.parametrize("case", [_named(index, case) for index, case in enumerate(CASES)])
def test_after_each_fault_the_next_run_gets_through(
    sim: Spheron, case: Case, record_property: Callable[[str, object], None]
) -> None:
    stack = Stack(sim)
    method, path = REQUESTS[case.request]
    sim.world.rules = Rules(lists_lag_calls=case.lag)
    sim.fail(case.kind, method, path, times=case.times)
    for _ in range(2):
        _try_all(stack)
        stack.require_never_two()
    sim.faults.clear()

    node = stack.up()
    stack.require_one()
    orders = sum(sim.world.report().orders.values())
    assert orders <= sim.count("POST", "/api/deployments")
    stack.down(node.node_id)
    stack.require_never_two()
    lost = sim.world.report().volumes_deleted
    stack.purge(node.volume_id)
    report = sim.world.report()
    assert (report.alive, report.volumes, lost) == ((), (), ())
    figures = {"cases": 1, "leaked": len(report.alive), "lost": len(lost)}
    for name, value in (figures | {"bought twice": max(report.most_alive.get("web", 0) - 1, 0)}).items():
        record_property(name, value)


def _try_all(stack: Stack) -> None:
    """Bring the stack up and its node down, as far as that gets."""
    try:
        stack.down(stack.up().node_id)
    except CloudError as told:
        assert str(told), "a failure that says nothing"
