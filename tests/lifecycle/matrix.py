"""What every case of the matrices ends with: the next run gets through, and what the whole of it came to."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import pytest

from nodestack.errors import NodestackError
from tests.clouds.markets import Market
from tests.lifecycle.stack import StackAt, is_weights

OURS = {"web", "weights", "web-os"}
"""Names of what a stack may hold, the boot disk that Verda's nodes have among them."""

Record = Callable[[str, object], None]

_PATIENCE_S = 60.0


class Named(Protocol):
    """A case that tells what it is in words."""

    @property
    def name(self) -> str: ...


Case = TypeVar("Case", bound=Named)


def sampled(cases: Sequence[Case], step: int) -> list[Any]:
    """Return all cases by their names; all but every `step`-th are left to `make qualify`."""
    return [
        pytest.param(case, id=case.name, marks=() if index % step == 0 else pytest.mark.qualify)
        for index, case in enumerate(cases)
    ]


def try_all(stack: StackAt[Market]) -> None:
    """Bring the stack up and its node down, as far as that gets."""
    try:
        stack.down(stack.up().node_id)
    except NodestackError as told:
        assert str(told), "a failure that says nothing"
    stack.require_never_two()


def conclude(stack: StackAt[Market], record: Record, *, mend: Callable[[], None]) -> None:
    """See that the next run has one node and the first volume, and leaves nothing when all is torn down.

    Args:
        stack: What was struck.
        record: Takes the case's figures.
        mend: Takes back whatever goes wrong; called before the last request, the deletion of the volume, is repeated.
    """
    market = stack.sim
    hasty = market.cloud, stack.patience_s
    # Nothing goes wrong here: what a busy machine is slow at must not count as lost.
    patient = market.cloud, stack.patience_s = market.patient, _PATIENCE_S
    node = stack.up()
    stack.require_one()
    require_accounted(market)
    stack.down(node.node_id)
    stack.require_never_two()
    lost = [name for name in market.world.report().volumes_deleted if is_weights(name)]
    market.cloud, stack.patience_s = hasty
    try:
        stack.purge(node.volume_id)
    except NodestackError as told:
        assert str(told), "a failure that says nothing"
        mend()
        market.cloud, stack.patience_s = patient
        stack.purge(node.volume_id)
    report = market.world.report()
    left = [name for name in (*report.alive, *report.volumes) if name in OURS]
    assert (left, lost) == ([], [])
    twice = max(report.most_alive.get("web", 0) - 1, 0)
    for name, value in {"cases": 1, "leaked": len(left), "lost": len(lost), "bought twice": twice}.items():
        record(name, value)


def require_accounted(market: Market) -> None:
    """Assert that each request that bought something, and no other, is in the ledger."""
    report = market.world.report()
    assert report.orders.get("web", 0) == market.bought("ordering the node")
    made = [event for event in market.world.ledger.events if event.what == "volume_made" and is_weights(event.name)]
    assert len(made) == market.bought("making the volume")
