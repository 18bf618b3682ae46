"""Nodes from first request to last: found again by exact name, never two of one name, awaited, deleted until gone."""

from collections.abc import Callable
from threading import Event

from nodestack.clouds.base import Cloud, Node, NodeRequest, NodeStatus, Progress, Volume
from nodestack.clouds.offers import is_model
from nodestack.errors import CloudError, MinimumRuntime, WrongHostKey
from nodestack.lifecycle import attachments, buying
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.pace import Pace, poll, stop_if

BOOT = Pace(timeout_s=900)
DELETION = Pace(timeout_s=300)

_LONGER_THAN_TOLD_S = 3600.0

WaitUntilReachable = Callable[[Node, Progress, Event], None]
"""Returns once the node can be worked on; raises WrongHostKey, ReachError or Interrupted."""

Known = Callable[[Node, bool], None]
"""Is told of a node once it surely exists, and whether it was ordered now; one that was found may be another's."""


def ensure(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    request: NodeRequest,
    *,
    wait: WaitUntilReachable,
    progress: Progress,
    cancelled: Event,
    known: Known = lambda node, ordered: None,
    boot: Pace = BOOT,
    wish: Wish | None = None,
    settle: Pace = buying.SETTLE,
) -> Node:
    """Return the account's one node of this name, running, with its volume, and reachable.

    A node that exists is adopted when it is what was asked for. One of our name that holds our volume but is another
    machine than asked for, or is switched off, was left by a former run, keeps nothing of worth and is deleted first.
    One that shows a host key that is not this stack's may be serving for another checkout, and is left alone.

    Args:
        cloud: The account.
        request: The node.
        wish: What the machine must be, for clouds that sell more than one; its volume's place is found here.
        settle: How long a node whose order was not answered is looked for.
        wait: Returns once the node can be worked on.
        progress: Takes a line for each stage.
        cancelled: Ends the wait; the node is kept.
        known: Told of the node, so that a failure later on does not lose it.
        boot: Patience from creation to running.

    Raises:
        CloudError: The cloud refused, the name belongs to a node with another volume, or the boot took too long.
        WrongHostKey: A node that this run did not order was made with another key, or one that it did order got none.
        ReachError: The node runs but cannot be worked on.
        Interrupted: `cancelled` was set.
    """
    stop_if(cancelled, f"node {request.name}")
    volume = _volume(cloud, request) if wish is not None else None

    node = _adopt(cloud, request, wish, volume, progress=progress, cancelled=cancelled)
    ordered = node is None
    if node is None:
        cloud.preflight()
        stop_if(cancelled, f"node {request.name}")
        progress(f"making node {request.name} of shape {request.shape}")
        if wish is None:
            node = buying.order_once(cloud, request, progress=progress, cancelled=cancelled, settle=settle)
        else:
            here = wish if volume is None else wish.near(volume)
            node = buying.buy(cloud, request, here, progress=progress, cancelled=cancelled, settle=settle)
    known(node, ordered)
    return await_known(
        cloud,
        node,
        ordered=ordered,
        wait=wait,
        progress=progress,
        cancelled=cancelled,
        boot=boot,
        volume_id=request.volume_id,
    )


def await_known(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    node: Node,
    *,
    ordered: bool,
    wait: WaitUntilReachable,
    progress: Progress,
    cancelled: Event,
    boot: Pace = BOOT,
    volume_id: str = "",
) -> Node:
    """As `await_ready`; a node that shows a host key that is not this stack's is of no use, and may be another's.

    Args:
        ordered: Whether this stack surely ordered it: then it is deleted. One that was found is left alone.

    Raises:
        WrongHostKey: It shows another key; says what can be done.
    """
    try:
        return await_ready(
            cloud, node, wait=wait, progress=progress, cancelled=cancelled, boot=boot, volume_id=volume_id
        )
    except WrongHostKey as stranger:
        if not ordered:
            raise WrongHostKey(
                f"{stranger}. Node {node.name} was made with another key than this stack has now, and no cloud lets "
                "its keys be changed. If a stack of another checkout has this name, give this one another; if the node "
                "is yours and its key was lost, delete it and run again, its volume stays: "
                f"nodestack sweep --delete {node.name}"
            ) from stranger
        progress(f"{stranger}. Its cloud dropped what it was given for its first boot: deleting it; its volume stays")
        delete_until_gone(cloud, node.node_id, progress=progress, cancelled=cancelled)
        raise WrongHostKey(
            f"{stranger}. Node {node.name} was deleted, so that it is not billed for nothing: run again to have another"
        ) from stranger


def await_ready(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    node: Node,
    *,
    wait: WaitUntilReachable,
    progress: Progress,
    cancelled: Event,
    boot: Pace = BOOT,
    volume_id: str = "",
) -> Node:
    """Return a node that exists once it runs, has the volume and can be worked on; errors as for `ensure`."""
    progress(f"node {node.name} is {node.status.value}")

    def running() -> Node | None:
        seen = cloud.read_node(node.node_id)
        if seen is None or seen.status is NodeStatus.TERMINATED:
            how = f" ({seen.ended_because})" if seen is not None and seen.ended_because else ""
            raise CloudError(f"node {node.name} vanished while it was awaited{how}: run again to make it anew")
        if seen.status is NodeStatus.STOPPED:
            raise CloudError(
                f"node {node.name} is switched off and does not come up by waiting, but may well be billed: start it "
                "at its cloud, or delete it there and run again to make it anew"
            )
        return seen if seen.status is NodeStatus.RUNNING and seen.address else None

    what = f"node {node.name} to run"
    ready = poll(running, boot.no_faster_than(cloud.poll_s), what=what, cancelled=cancelled)
    ready = attachments.attach(cloud, ready, volume_id, progress=progress, cancelled=cancelled, pace=boot)
    wait(ready, progress, cancelled)
    progress(f"node {node.name} is ready")
    return ready


def observe(cloud: Cloud, node_id: str) -> Node | None:
    """Return the node as it is, None when it is surely gone; a terminated one is gone.

    Raises:
        AmbiguousError: The cloud's answer leaves that open.
    """
    node = cloud.read_node(node_id)
    return None if node is None or node.status is NodeStatus.TERMINATED else node


def delete_until_gone(
    cloud: Cloud, node_id: str, *, progress: Progress, cancelled: Event, pace: Pace = DELETION
) -> None:
    """Delete a node, not its volume, and return when it is surely gone; one that is gone is no error.

    A node that is too young to be deleted is waited for, loudly: giving up would leave it behind, billed.

    Raises:
        CloudError: The cloud refused, or it took too long.
        Interrupted: `cancelled` was set; deleting again goes on from here.
    """
    what = f"node {node_id} to be gone"
    stop_if(cancelled, what)
    progress(f"deleting node {node_id}")
    accepted = False

    def gone() -> bool | None:
        nonlocal accepted
        if not accepted:
            cloud.delete_node(node_id)
            accepted = True
        return True if observe(cloud, node_id) is None else None

    pace = pace.no_faster_than(cloud.poll_s)
    waited_s, told_s, told = 0.0, 0.0, ""
    while True:
        try:
            poll(gone, pace, what=what, cancelled=cancelled)
            return
        except MinimumRuntime as young:
            told_s = told_s or 60 * young.remaining_minutes
            if waited_s > told_s + _LONGER_THAN_TOLD_S:
                raise
            if str(young) != told:
                told = str(young)
                progress(f"waiting for node {node_id} to be old enough to be deleted, it is billed meanwhile: {told}")
            cancelled.wait(pace.poll_s)
            waited_s += pace.poll_s


def delete_by_name(
    cloud: Cloud, name: str, *, progress: Progress, cancelled: Event, pace: Pace = DELETION
) -> Node | None:
    """Delete the node of this exact name and return what it was, None when there was none.

    For what a killed run made and could not record: whoever tears down knows the name, not the id.
    """
    node = cloud.find_node(name)
    if node is not None:
        delete_until_gone(cloud, node.node_id, progress=progress, cancelled=cancelled, pace=pace)
    return node


def _adopt(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    request: NodeRequest,
    wish: Wish | None,
    volume: Volume | None,
    *,
    progress: Progress,
    cancelled: Event,
) -> Node | None:
    node = buying.find_surely(cloud, lambda: cloud.find_node(request.name), f"node {request.name}", cancelled)
    if node is None:
        return None
    if node.volume_id not in ("", request.volume_id):
        raise CloudError(
            f"node {request.name} exists with volume {node.volume_id}, volume {request.volume_id} was asked for: "
            "it is not this stack's, delete it or choose another name"
        )
    differs = _difference(node, request, wish, volume)
    if not differs:
        progress(f"found node {request.name}, going on with it")
        return node
    progress(f"found node {request.name} {differs}, replacing it")
    delete_until_gone(cloud, node.node_id, progress=progress, cancelled=cancelled)
    return None


def _difference(node: Node, request: NodeRequest, wish: Wish | None, volume: Volume | None) -> str:
    """Return how a node differs from what was asked for, "" where it does not as far as its cloud tells."""
    if node.status in (NodeStatus.TERMINATED, NodeStatus.STOPPED):
        return node.status.value
    if wish is None or not node.gpu:
        untold = not (node.shape or node.gpu)
        same = untold or (node.shape, node.hardware_profile) == (request.shape, request.hardware_profile)
        return "" if same else f"of shape {node.shape}"
    if not is_model(wish.query.gpu, node.gpu) or node.gpu_count != wish.query.gpu_count:
        return f"of {node.gpu_count}x {node.gpu}"
    if node.market != wish.query.market:
        return f"of the market {node.market.replace('_', ' ')}"
    if volume is not None and volume.region and node.region not in ("", volume.region):
        return f"in {node.region}, where volume {volume.name} is not"
    return ""


def _volume(cloud: Cloud, request: NodeRequest) -> Volume | None:
    if not request.volume_id:
        return None
    volume = cloud.read_volume(request.volume_id)
    if volume is None:
        raise CloudError(f"volume {request.volume_id} of node {request.name} is gone: run again to make it anew")
    return volume
