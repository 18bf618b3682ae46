"""A node is found again by its name, made once, awaited with patience, and gone when it is deleted."""

from threading import Event

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeRequest, NodeStatus, Progress
from nodestack.errors import CloudError, Interrupted, ReachError, WrongHostKey
from nodestack.lifecycle import nodes
from nodestack.lifecycle.pace import Pace
from tests.lifecycle.memory_cloud import Fault, MemoryCloud

REQUEST = NodeRequest(
    name="web", shape="small", volume_id="v-1", ssh_public_key="ssh-ed25519 A", ssh_host_private_key=SecretStr("k")
)
FAST = Pace(timeout_s=0.5, poll_s=0.001)


def reachable(node: Node, progress: Progress, cancelled: Event) -> None:
    progress(f"{node.name} answers")


def ensure(  # noqa: PLR0913 - what a test may want otherwise, each by name
    cloud: MemoryCloud,
    request: NodeRequest = REQUEST,
    *,
    wait: nodes.WaitUntilReachable = reachable,
    cancelled: Event | None = None,
    known: nodes.Known = lambda node, ordered: None,
    boot: Pace = FAST,
) -> Node:
    return nodes.ensure(
        cloud,
        request,
        wait=wait,
        progress=lambda line: None,
        cancelled=cancelled or Event(),
        known=known,
        boot=boot,
    )


def test_a_node_is_returned_running_and_with_its_address() -> None:
    node = ensure(MemoryCloud(boot_polls=3))
    assert (node.status, node.address) == (NodeStatus.RUNNING, "192.0.2.1")


def test_a_node_of_the_name_is_adopted_not_made_again() -> None:
    cloud = MemoryCloud()
    assert ensure(cloud) == ensure(cloud)
    assert cloud.calls.count("create_node") == 1


def test_a_lost_answer_to_create_does_not_make_a_second_node() -> None:
    cloud = MemoryCloud()
    cloud.fail(2, Fault.ANSWER_LOST)
    ensure(cloud)
    assert len(cloud.nodes) == 1


def test_a_node_of_ours_with_another_shape_is_deleted_before_the_new_one_is_made() -> None:
    cloud = MemoryCloud()
    old = ensure(cloud)
    new = ensure(cloud, REQUEST.model_copy(update={"shape": "large"}))
    assert old.node_id not in cloud.nodes
    assert cloud.nodes == {new.node_id: new}
    assert cloud.calls.index("delete_node") < len(cloud.calls) - 1 - cloud.calls[::-1].index("create_node")


def test_a_node_of_the_name_with_another_volume_is_not_touched() -> None:
    cloud = MemoryCloud()
    other = ensure(cloud)
    with pytest.raises(CloudError, match=r"volume v-1, volume v-2 was asked for: it is not this stack's"):
        ensure(cloud, REQUEST.model_copy(update={"volume_id": "v-2"}))
    assert cloud.nodes == {other.node_id: other}


def test_the_node_is_known_before_it_can_fail_to_be_reached() -> None:
    def unreachable(node: Node, progress: Progress, cancelled: Event) -> None:
        raise ReachError("no answer")

    known: list[Node] = []
    cloud = MemoryCloud()
    with pytest.raises(ReachError):
        ensure(cloud, wait=unreachable, known=lambda node, ordered: known.append(node))
    assert [node.node_id for node in known] == list(cloud.nodes)


def test_a_boot_without_end_is_told_with_what_was_waited_for() -> None:
    with pytest.raises(CloudError, match=r"waited 0.01 s for node web to run, in vain: run again"):
        ensure(MemoryCloud(boot_polls=10**6), boot=Pace(timeout_s=0.01, poll_s=0.001))


def test_a_node_that_vanishes_while_it_boots_is_told_at_once() -> None:
    cloud = MemoryCloud(boot_polls=10**6)
    with pytest.raises(CloudError, match="vanished while it was awaited"):
        ensure(cloud, known=lambda node, ordered: cloud.vanish(node.node_id))


def test_an_unclear_answer_while_waiting_is_asked_again() -> None:
    cloud = MemoryCloud(boot_polls=2)
    cloud.fail(4, Fault.ANSWER_LOST)
    assert ensure(cloud).status is NodeStatus.RUNNING


def test_cancelling_ends_the_wait_and_keeps_the_node() -> None:
    cloud, cancelled = MemoryCloud(boot_polls=10**6), Event()
    with pytest.raises(Interrupted, match="what exists is kept, run again to go on"):
        ensure(cloud, cancelled=cancelled, known=lambda node, ordered: cancelled.set())
    assert len(cloud.nodes) == 1


def test_a_terminated_node_counts_as_gone() -> None:
    cloud = MemoryCloud()
    node = ensure(cloud)
    cloud.nodes[node.node_id] = node.model_copy(update={"status": NodeStatus.TERMINATED})
    assert nodes.observe(cloud, node.node_id) is None


def test_a_terminated_node_of_the_name_is_made_anew() -> None:
    cloud = MemoryCloud()
    node = ensure(cloud)
    cloud.nodes[node.node_id] = node.model_copy(update={"status": NodeStatus.TERMINATED})
    assert ensure(cloud).node_id != node.node_id


def test_a_node_nobody_recorded_is_deleted_by_its_name_and_no_other_is() -> None:
    cloud = MemoryCloud()
    left, kept = ensure(cloud), ensure(cloud, REQUEST.model_copy(update={"name": "api"}))
    for expected in (left, None):
        found = nodes.delete_by_name(cloud, "web", progress=lambda line: None, cancelled=Event(), pace=FAST)
        assert found == expected
    assert list(cloud.nodes) == [kept.node_id]


def test_deleting_returns_when_the_node_is_gone_and_again_when_it_was_gone_before() -> None:
    cloud = MemoryCloud()
    node = ensure(cloud)
    for _ in range(2):
        nodes.delete_until_gone(cloud, node.node_id, progress=lambda line: None, cancelled=Event(), pace=FAST)
    assert cloud.nodes == {}


def strange(node_ids: set[str]) -> nodes.WaitUntilReachable:
    """Return a wait that finds another host key on these nodes."""

    def wait(node: Node, progress: Progress, cancelled: Event) -> None:
        if node.node_id in node_ids:
            raise WrongHostKey(f"{node.address} answers with another host key")

    return wait


def test_a_found_node_with_another_host_key_may_be_anothers_and_is_left_alone() -> None:
    cloud = MemoryCloud()
    left = ensure(cloud)
    with pytest.raises(WrongHostKey, match=r"give this one another; .* nodestack sweep --delete web$"):
        ensure(cloud, wait=strange({left.node_id}))
    assert (list(cloud.nodes), cloud.calls.count("create_node")) == ([left.node_id], 1)


def test_a_new_node_with_another_host_key_is_deleted_and_no_third_one_is_made() -> None:
    cloud = MemoryCloud()
    with pytest.raises(WrongHostKey, match=r"Node web was deleted, so that it is not billed for nothing: run again"):
        ensure(cloud, wait=strange({"id-1", "id-2"}))
    assert (cloud.nodes, cloud.calls.count("create_node")) == ({}, 1)


def test_going_on_with_a_node_that_shows_another_host_key_deletes_it() -> None:
    cloud = MemoryCloud()
    left = ensure(cloud)
    with pytest.raises(WrongHostKey):
        nodes.await_known(
            cloud,
            left,
            ordered=True,
            wait=strange({left.node_id}),
            progress=lambda line: None,
            cancelled=Event(),
            boot=FAST,
        )
    assert cloud.nodes == {}


def test_a_node_that_cannot_be_reached_is_kept_since_it_may_be_ours() -> None:
    cloud = MemoryCloud()
    left = ensure(cloud)

    def silent(node: Node, progress: Progress, cancelled: Event) -> None:
        raise ReachError("no answer")

    with pytest.raises(ReachError):
        ensure(cloud, wait=silent)
    assert list(cloud.nodes) == [left.node_id]
