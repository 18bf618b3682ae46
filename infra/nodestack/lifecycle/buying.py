"""Ordering a node so that none is bought twice: after doubt it is looked for until it is sure whether it is there."""

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from nodestack.clouds.base import Cloud, Node, NodeRequest, Offer, Progress
from nodestack.errors import AmbiguousError, CloudError, InsufficientBalance, NameTaken, OutOfStock
from nodestack.lifecycle import choose
from nodestack.lifecycle.pace import Pace, settled, stop_if

SETTLE = Pace(timeout_s=180, poll_s=5)
"""An order takes up to 40 s to be allocated, and lists lag behind."""

_MOST_DOUBTS = 2
_MORE_LOOKS = 3
_SHORTEST_STAY_HOURS = 1.0

Thing = TypeVar("Thing")


class NeverAppeared(AmbiguousError):
    """An order was not answered, and lists that could be read were without what it makes for long enough."""


def buy(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    request: NodeRequest,
    wish: choose.Wish,
    *,
    progress: Progress,
    cancelled: Event,
    settle: Pace = SETTLE,
) -> Node:
    """Order the cheapest machine that fits, the next one where it is sold out, and return it as it was accepted.

    Price and balance are asked for right before each order.

    Args:
        cloud: The account.
        request: The node; its offer is chosen here.
        wish: What the machine must be.
        progress: Takes a line for each order.
        cancelled: Ends it before the next order.
        settle: How long a node whose order was not answered is looked for.

    Raises:
        OutOfStock: No offer fits, or all that do are sold out.
        InsufficientBalance: The account cannot pay the first hour.
        DuplicateName: There are two nodes of the name now.
        NeverAppeared: Orders were not answered, and no node came of them.
        AmbiguousError: An order was not answered, and the lists that would tell could not be read.
        Interrupted: `cancelled` was set.
    """
    sold_out: list[Offer] = []
    doubts = 0
    while True:
        offers = cloud.offers(wish.query)
        choice = next((one for one in choose.fitting(offers, wish) if not _was_tried(one, sold_out)), None)
        if choice is None:
            raise OutOfStock(f"node {request.name} cannot be had now: {_nothing_left(offers, wish, sold_out)}")
        require_money(cloud, choice)
        stop_if(cancelled, f"node {request.name}")
        order = request.model_copy(update={"offer": choice, "market": choice.market, "image": wish.image})
        try:
            node = order_once(cloud, order, progress=progress, cancelled=cancelled, settle=settle)
        except OutOfStock as gone:
            progress(f"{choice.provider} in {choice.region} is sold out: {gone}")
            sold_out.append(choice)
            continue
        except NeverAppeared:
            doubts += 1
            if doubts == _MOST_DOUBTS:
                raise
            progress("no node came of it: ordering again")
            continue
        return node


def find_surely(cloud: Cloud, find: Callable[[], Thing | None], what: str, cancelled: Event) -> Thing | None:
    """Look for something by its exact name, and again where its cloud would sell a second one of the name.

    Lists lag behind, and the run before this one may have been killed right after its order: where the cloud does not
    refuse a name that is taken, only looking several times keeps the next order from buying it twice.

    Args:
        cloud: The account.
        find: Looks once.
        what: What is looked for, e.g. "node web".
        cancelled: Ends it.

    Raises:
        AmbiguousError: There are two, or it could not be seen whether there is one.
        Interrupted: `cancelled` was set.
    """
    found = find()
    if found is not None or cloud.unique_names:
        return found
    for _ in range(_MORE_LOOKS):
        cancelled.wait(cloud.poll_s)
        stop_if(cancelled, what)
        found = find()
        if found is not None:
            return found
    return None


def order_once(
    cloud: Cloud, request: NodeRequest, *, progress: Progress, cancelled: Event, settle: Pace = SETTLE
) -> Node:
    """Make one order and return what came of it, however its answer was lost.

    Raises:
        NeverAppeared: The answer was lost, and for as long as `settle` says every list was without the node.
        AmbiguousError: The answer was lost, and the lists could not be read.
        CloudError: The cloud refused, and there is no node.
    """

    def create() -> Node:
        return cloud.create_node(request, progress)

    return once(
        create,
        lambda: cloud.find_node(request.name),
        f"node {request.name}",
        progress=progress,
        cancelled=cancelled,
        settle=settle.no_faster_than(cloud.poll_s),
    )


def once(  # noqa: PLR0913 - each by name
    create: Callable[[], Thing],
    find: Callable[[], Thing | None],
    what: str,
    *,
    progress: Progress,
    cancelled: Event,
    settle: Pace,
) -> Thing:
    """Make one request to create and return what came of it; the request is never repeated.

    Args:
        create: Makes the request.
        find: Looks for what it makes, by exact name.
        what: What it makes, e.g. "node web".
        progress: Told where the answer was lost.
        cancelled: Ends the search.
        settle: How long to look, and how often.

    Raises:
        NeverAppeared: The answer was lost, and nothing came of it in all that time.
        AmbiguousError: The answer was lost, and whether anything came of it could not be seen.
        CloudError: The cloud refused, and there is no such thing.
    """
    try:
        return create()
    except (AmbiguousError, NameTaken) as unclear:
        # A name that is taken while no list shows it is most likely ours: of an order that a former run made.
        progress(f"{unclear}: looking for {what} before anything else is done")
        found = settled(find, settle, what=what, cancelled=cancelled)
        if found is None:
            raise _nowhere(unclear, what) from unclear
        progress(f"{what} is there")
        return found
    except CloudError:
        # A second look costs little: not every cloud that refuses has undone all that it did.
        found = find()
        if found is None:
            raise
        return found


def _nowhere(unclear: CloudError, what: str) -> CloudError:
    if isinstance(unclear, NameTaken):
        return NameTaken(
            f"{unclear}: the name of {what} is taken, and no list shows by what. Look at the cloud's own pages, delete "
            "it there or choose another name"
        )
    return NeverAppeared(f"{unclear}, and {what} did not appear")


def require_money(cloud: Cloud, offer: Offer) -> None:
    """Raise InsufficientBalance where the account cannot pay the first hour, or the shortest stay if that is longer."""
    balance = cloud.balance()
    if balance is None:
        return
    hours = max(_SHORTEST_STAY_HOURS, (offer.minimum_runtime_minutes or 0) / 60)
    if balance.usd < offer.usd_per_hour * hours:
        raise InsufficientBalance(
            f"{balance.holder or 'the account'} has {balance.usd:.2f} USD, {hours:g} h of the node cost "
            f"{offer.usd_per_hour * hours:.2f} USD: pay in first"
        )


def _was_tried(offer: Offer, tried: list[Offer]) -> bool:
    # The price may have moved meanwhile: it is the same machine all the same.
    return any((offer.offer_id, offer.region, offer.market) == (one.offer_id, one.region, one.market) for one in tried)


def _nothing_left(offers: tuple[Offer, ...], wish: choose.Wish, sold_out: list[Offer]) -> str:
    if not sold_out:
        return f"{choose.why_none(offers, wish)}. Choose another shape, market, region or price limit"
    names = ", ".join(f"{one.provider} in {one.region} at {one.usd_per_hour:.2f} USD/h" for one in sold_out)
    return f"{len(sold_out)} offers were sold out when it came to it ({names}). Run again later"
