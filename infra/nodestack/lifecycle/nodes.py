"""Nodes from first request to last: found again by exact name, never two of one name, awaited, deleted until gone."""

from collections.abc import Callable
from threading import Event

from nodestack.clouds.base import Cloud, Node, NodeRequest, NodeStatus, Progress
from nodestack.errors import CloudError
from nodestack.lifecycle.pace import Pace, poll, stop_if

BOOT = Pace(timeout_s=900)
DELETION = Pace(timeout_s=300)

WaitUntilReachable = Callable[[Node, Progress, Event], None]
"""Returns once the node can be worked on; raises ReachError or Interrupted."""


def ensure(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    request: NodeRequest,
    *,
    wait: WaitUntilReachable,
    progress: Progress,
    cancelled: Event,
    known: Callable[[Node], None] = lambda node: None,
    boot: Pace = BOOT,
) -> Node:
    """Return the account's one node of this name, running and reachable.

    A node that exists is adopted when it is what was asked for. One of our name that holds our volume but has another
    shape or hardware profile was left by a former run, keeps nothing of worth and is deleted first.

    Args:
        cloud: The account.
        request: The node.
        wait: Returns once the node can be worked on.
        progress: Takes a line for each stage.
        cancelled: Ends the wait; the node is kept.
        known: Told of the node as soon as it surely exists, so that a failure later on does not lose it.
        boot: Patience from creation to running.

    Raises:
        CloudError: The cloud refused, the name belongs to a node with another volume, or the boot took too long.
        ReachError: The node runs but cannot be worked on.
        Interrupted: `cancelled` was set.
    """
    stop_if(cancelled, f"node {request.name}")
    cloud.preflight()
    node = _adopt(cloud, request, progress=progress, cancelled=cancelled)
    if node is None:
        stop_if(cancelled, f"node {request.name}")
        progress(f"making node {request.name} of shape {request.shape}")
        node = _create(cloud, request, progress)
    known(node)
    return await_ready(cloud, node, wait=wait, progress=progress, cancelled=cancelled, boot=boot)


def await_ready(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    node: Node,
    *,
    wait: WaitUntilReachable,
    progress: Progress,
    cancelled: Event,
    boot: Pace = BOOT,
) -> Node:
    """Return a node that exists once it runs and can be worked on; errors as for `ensure`."""
    progress(f"node {node.name} is {node.status.value}")

    def running() -> Node | None:
        seen = cloud.read_node(node.node_id)
        if seen is None or seen.status is NodeStatus.TERMINATED:
            raise CloudError(f"node {node.name} vanished while it was awaited: run again to make it anew")
        return seen if seen.status is NodeStatus.RUNNING and seen.address else None

    ready = poll(running, boot, what=f"node {node.name} to run", cancelled=cancelled)
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

    Raises:
        CloudError: The cloud refused, or it took too long.
        Interrupted: `cancelled` was set; deleting again goes on from here.
    """
    what = f"node {node_id} to be gone"
    stop_if(cancelled, what)
    progress(f"deleting node {node_id}")
    cloud.delete_node(node_id)
    poll(lambda: True if observe(cloud, node_id) is None else None, pace, what=what, cancelled=cancelled)


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


def _adopt(cloud: Cloud, request: NodeRequest, *, progress: Progress, cancelled: Event) -> Node | None:
    node = cloud.find_node(request.name)
    if node is None:
        return None
    if node.volume_id != request.volume_id:
        raise CloudError(
            f"node {request.name} exists with volume {node.volume_id}, volume {request.volume_id} was asked for: "
            "it is not this stack's, delete it or choose another name"
        )
    terminated = node.status is NodeStatus.TERMINATED
    if not terminated and (node.shape, node.hardware_profile) == (request.shape, request.hardware_profile):
        progress(f"found node {request.name}, going on with it")
        return node
    progress(f"found node {request.name} {'terminated' if terminated else f'of shape {node.shape}'}, replacing it")
    delete_until_gone(cloud, node.node_id, progress=progress, cancelled=cancelled)
    return None


def _create(cloud: Cloud, request: NodeRequest, progress: Progress) -> Node:
    try:
        return cloud.create_node(request, progress)
    except CloudError:
        # The answer may have been lost after the cloud did as asked: a second request would make a second node.
        node = cloud.find_node(request.name)
        if node is None:
            raise
        return node
