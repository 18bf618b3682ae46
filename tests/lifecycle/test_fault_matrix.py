"""Each fault at each request of a stack's life: the next run gets through, with one node and every volume."""

import itertools

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

CASES = [
    *itertools.product(KINDS, REQUESTS, [ONCE], [0, 2]),
    *itertools.product([kind for kind in KINDS if kind not in SLOW], REQUESTS, [UNTIL_THE_END], [0]),
    *itertools.product(REFUSALS, ["making the volume", "ordering the node"], [ONCE, UNTIL_THE_END], [0, 2]),
    *itertools.product([Kind.MINIMUM_RUNTIME], ["deleting the node"], [ONCE], [0, 2]),
]


def _named(index: int, case: tuple[Kind, str, int, int]) -> object:
    kind, request, times, lag = case
    name = f"{kind.value}, {request}, {'once' if times == ONCE else 'always'}, lists lag by {lag}"
    return pytest.param(*case, id=name, marks=() if index % SAMPLE_STEP == 0 else pytest.mark.qualify)


@pytest.mark.parametrize(
    ("kind", "request_name", "times", "lag"), [_named(index, case) for index, case in enumerate(CASES)]
)
def test_after_each_fault_the_next_run_gets_through(
    sim: Spheron, kind: Kind, request_name: str, times: int, lag: int
) -> None:
    stack = Stack(sim)
    method, path = REQUESTS[request_name]
    sim.world.rules = Rules(lists_lag_calls=lag)
    sim.fail(kind, method, path, times=times)
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
    stack.purge(node.volume_id)
    assert (sim.world.report().alive, sim.world.report().volumes) == ((), ())


def _try_all(stack: Stack) -> None:
    """Bring the stack up and its node down, as far as that gets."""
    try:
        stack.down(stack.up().node_id)
    except CloudError as told:
        assert str(told), "a failure that says nothing"
