"""What an account holds under our names and no state knows, and the reverse; deleted on request, until it is gone."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Event
from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from nodestack.clouds.base import Cloud, Frozen, Market, NodeStatus, Progress
from nodestack.errors import CloudError
from nodestack.lifecycle import nodes, volumes

What: TypeAlias = Literal["node", "volume"]

_HOUR_S = 3600.0


class Recorded(Frozen):
    """A node or a volume that a stack's state knows.

    Attributes:
        what: Which of both.
        thing_id: The cloud's id.
        name: Its exact name.
        stack: Whose state knows it.
    """

    what: What
    thing_id: str
    name: str
    stack: str


class Known(Frozen):
    """What states know, as they are at one moment.

    Attributes:
        ids: Of everything that any state knows, in whichever account.
        here: What they know in the account that is swept.
        at_work: Stacks that a run is at work on: what it makes is in no state yet.
    """

    ids: frozenset[str] = frozenset()
    here: tuple[Recorded, ...] = ()
    at_work: frozenset[str] = frozenset()


class Thing(Recorded):
    """A node or a volume that an account holds.

    Attributes:
        stack: Whose it is by its name.
        region: Where it is; "" where the cloud does not say.
        market: How a node was sold; None for volumes.
        usd_per_hour: What it costs in USD an hour; None where the cloud does not say.
        created_at: When it was made; None where the cloud does not say.
    """

    region: str = ""
    market: Market | None = None
    usd_per_hour: float | None = None
    created_at: AwareDatetime | None = None

    def age_hours(self, now: datetime) -> float | None:
        """Return for how long it has existed; None where the cloud does not say."""
        return None if self.created_at is None else max(0.0, (now - self.created_at).total_seconds() / _HOUR_S)

    def usd_so_far(self, now: datetime) -> float | None:
        """Return what it has cost at its present price; None where the cloud does not say."""
        hours = self.age_hours(now)
        return None if hours is None or self.usd_per_hour is None else hours * self.usd_per_hour


class Missing(Recorded):
    """What a state knows and the account no longer holds.

    Attributes:
        because: Why, as far as the cloud says.
    """

    because: str


class Survey(Frozen):
    """How an account and the states agree.

    Attributes:
        strays: What the account holds under our names and no state knows.
        at_work: What no state knows yet, of stacks that a run is at work on.
        missing: What a state knows and the account no longer holds.
    """

    strays: tuple[Thing, ...] = ()
    at_work: tuple[Thing, ...] = ()
    missing: tuple[Missing, ...] = ()


def stack_of(project: str, name: str) -> str | None:
    """Return the stack that a name belongs to, None where it is none of ours; the reverse of `naming`.

    A boot disk that a cloud bills by itself has its node's name and `-os`.

    >>> stack_of("nodestack", "nodestack-spot-weights"), stack_of("nodestack", "nodestack-spot-node-os")
    ('spot', 'spot')
    >>> stack_of("nodestack", "nodestack-spot-nodes") is None
    True
    """
    found = re.fullmatch(rf"{re.escape(project)}-(.+)-(?:node|weights|node-os)", name)
    return found.group(1) if found else None


def survey(cloud: Cloud, project: str, known: Callable[[], Known]) -> Survey:
    """Return what of an account's things no state knows, and the reverse. Two lists, and a question for each missing.

    Args:
        cloud: The account.
        project: The first word of our names.
        known: Returns what the states know now.

    Raises:
        CloudError: A list could not be read to its end: what is stray is unknown then.
    """
    held = tuple(_held(cloud, project))
    # After the lists: what a run makes meanwhile is in its state by now, or the run is still at work.
    state = known()
    unknown = [thing for thing in held if thing.thing_id not in state.ids]
    seen = {thing.thing_id for thing in held}
    missing = [(one, _why_missing(cloud, one)) for one in state.here if one.thing_id not in seen]
    return Survey(
        strays=tuple(thing for thing in unknown if thing.stack not in state.at_work),
        at_work=tuple(thing for thing in unknown if thing.stack in state.at_work),
        missing=tuple(Missing(**one.model_dump(), because=why) for one, why in missing if why),
    )


def delete(
    cloud: Cloud, strays: Iterable[Thing], known: Callable[[], Known], *, progress: Progress, cancelled: Event
) -> dict[str, str]:
    """Delete strays, nodes before volumes, each until it is surely gone; return why not, by id, where it was not.

    Args:
        cloud: The account.
        strays: What to delete, with everything on it.
        known: Returns what the states know now; asked again right before each deletion.
        progress: Takes a line for each stage.
        cancelled: Ends it.

    Raises:
        Interrupted: `cancelled` was set.
    """
    failed: dict[str, str] = {}
    for thing in sorted(strays, key=lambda one: one.what != "node"):
        state = known()
        if thing.thing_id in state.ids or thing.stack in state.at_work:
            failed[thing.thing_id] = f"stack {thing.stack} took it up meanwhile: it was left alone"
            continue
        until_gone = nodes.delete_until_gone if thing.what == "node" else volumes.delete_until_gone
        try:
            until_gone(cloud, thing.thing_id, progress=progress, cancelled=cancelled)
        except CloudError as error:
            # The others bill as well.
            failed[thing.thing_id] = str(error)
    return failed


def _held(cloud: Cloud, project: str) -> Iterator[Thing]:
    node_ids = set()
    for node in cloud.list_nodes():
        node_ids.add(node.node_id)
        stack = stack_of(project, node.name)
        if stack is not None:
            yield Thing(
                what="node",
                thing_id=node.node_id,
                name=node.name,
                stack=stack,
                region=node.region,
                market=node.market,
                usd_per_hour=node.usd_per_hour,
                created_at=node.created_at,
            )
    for volume in cloud.list_volumes():
        stack = stack_of(project, volume.name)
        goes_with_its_node = volume.name.endswith("-os") and volume.attached_to in node_ids
        if stack is not None and not goes_with_its_node:
            yield Thing(
                what="volume",
                thing_id=volume.volume_id,
                name=volume.name,
                stack=stack,
                region=volume.region,
                usd_per_hour=volume.usd_per_hour,
                created_at=volume.created_at,
            )


def _why_missing(cloud: Cloud, recorded: Recorded) -> str:
    """Return why the account no longer holds something, "" where it does after all: lists may lag."""
    if recorded.what == "volume":
        return "" if cloud.read_volume(recorded.thing_id) is not None else "gone"
    node = cloud.read_node(recorded.thing_id)
    if node is None:
        return "gone"
    return (node.ended_because or "ended") if node.status is NodeStatus.TERMINATED else ""
