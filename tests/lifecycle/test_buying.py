"""Over a simulated Spheron: whatever goes wrong, one node is bought for one name, and its price is known beforehand."""

from collections.abc import Callable
from threading import Event

import pytest

from nodestack.clouds.base import Node, NodeStatus
from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.things import Rules
from nodestack.errors import (
    AmbiguousError,
    CloudError,
    DuplicateName,
    InsufficientBalance,
    Interrupted,
    NameTaken,
    OutOfStock,
    VolumeInUse,
)
from nodestack.lifecycle import attachments, buying, nodes
from nodestack.lifecycle.pace import Pace
from tests.clouds.spheron.bench import QUERY, Spheron
from tests.lifecycle.stack import WISH, Stack, reachable

DEPLOYMENTS, VOLUMES = "/api/deployments", "/api/volumes"


@pytest.fixture
def stack(sim: Spheron) -> Stack:
    return Stack(sim)


def test_the_cheapest_that_fits_is_bought_where_the_volume_is_and_has_it(stack: Stack) -> None:
    node = stack.up()
    assert (node.region, node.usd_per_hour, node.status) == ("us-east-1", 17.6, NodeStatus.RUNNING)
    assert node.volume_id == stack.volume().volume_id
    stack.require_one()


def test_what_is_there_is_found_again_and_nothing_is_bought(stack: Stack) -> None:
    assert stack.up() == stack.up()
    assert stack.sim.world.report().orders == {"web": 1}
    assert stack.sim.count("POST", DEPLOYMENTS) == 1


def test_sold_out_goes_to_the_next_offer_in_reach_of_the_volume(stack: Stack) -> None:
    volume = stack.volume()
    stack.sim.world.stock[("8x-h100-a", "us-east-1", "on_demand")] = 0
    assert stack.node(volume).usd_per_hour == 21
    assert any("is sold out" in line for line in stack.said)
    stack.require_one()


def test_all_sold_out_is_told_and_buys_nothing(stack: Stack) -> None:
    volume = stack.volume()
    for key in stack.sim.world.stock:
        stack.sim.world.stock[key] = 0
    with pytest.raises(OutOfStock, match=r"2 offers were sold out when it came to it \(voltage-park in us-east-1"):
        stack.node(volume)
    assert stack.sim.world.report().orders == {}


def test_a_price_above_the_limit_buys_nothing_even_when_it_rose_after_the_plan(stack: Stack) -> None:
    limit = WISH.model_copy(update={"max_usd_per_hour": 18})
    volume = stack.volume(limit)
    world = stack.sim.world
    world.market = [offer.model_copy(update={"usd_per_hour": offer.usd_per_hour + 1}) for offer in world.market]
    with pytest.raises(OutOfStock, match=r"2 above 18.00 USD/h \(from 18.60 USD/h\)"):
        stack.node(volume, limit)
    assert stack.sim.count("POST", DEPLOYMENTS) == 0


def test_a_balance_that_does_not_pay_the_first_hour_buys_nothing(stack: Stack) -> None:
    volume = stack.volume()
    stack.sim.world.pay_in(-990)
    with pytest.raises(InsufficientBalance, match=r"has 10.00 USD, 1 h of the node cost 17.60 USD: pay in first"):
        stack.node(volume)
    assert stack.sim.count("POST", DEPLOYMENTS) == 0


LOST = [Kind.TIMEOUT_AFTER, Kind.CUT_AFTER, Kind.ERROR_AFTER, Kind.GARBLED]
NEVER_ARRIVED = [Kind.TIMEOUT_BEFORE, Kind.CUT_BEFORE, Kind.ERROR_BEFORE]


@pytest.mark.parametrize("path", [DEPLOYMENTS, VOLUMES])
@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("kind", LOST)
def test_an_answer_lost_after_the_effect_makes_nothing_twice(stack: Stack, kind: Kind, path: str, lag: int) -> None:
    stack.sim.world.rules = Rules(lists_lag_calls=lag)
    stack.sim.fail(kind, "POST", path)
    stack.up()
    assert stack.sim.count("POST", path) == 1
    stack.require_one()


@pytest.mark.parametrize("kind", NEVER_ARRIVED)
def test_an_order_that_never_arrived_is_made_again_once_it_is_sure(stack: Stack, kind: Kind) -> None:
    stack.sim.fail(kind, "POST", DEPLOYMENTS)
    stack.up()
    assert stack.sim.count("POST", DEPLOYMENTS) == 2
    assert stack.sim.world.report().orders == {"web": 1}
    stack.require_one()


def test_orders_that_are_never_answered_are_given_up(stack: Stack) -> None:
    stack.sim.fail(Kind.CUT_BEFORE, "POST", DEPLOYMENTS, times=99)
    with pytest.raises(AmbiguousError, match="and node web did not appear"):
        stack.up()
    assert stack.sim.count("POST", DEPLOYMENTS) == 2


def test_while_the_list_cannot_be_read_nothing_is_ordered_again(stack: Stack) -> None:
    volume = stack.volume()
    stack.sim.fail(Kind.CUT_AFTER, "POST", DEPLOYMENTS)
    stack.sim.fail(Kind.ERROR_BEFORE, "GET", DEPLOYMENTS, nth=2, times=10**6)
    with pytest.raises(AmbiguousError):
        stack.node(volume)
    assert stack.sim.count("POST", DEPLOYMENTS) == 1
    stack.sim.faults.clear()
    stack.node(volume)
    stack.require_one()


def test_a_list_that_lags_behind_a_run_that_was_killed_does_not_make_two(stack: Stack) -> None:
    volume = stack.volume()
    stack.sim.world.rules = Rules(lists_lag_calls=4)
    stack.sim.node("web", volume.volume_id)
    assert stack.node(volume).status is NodeStatus.RUNNING
    stack.require_one()


def test_a_name_that_is_taken_by_nobody_knows_what_is_told_with_what_to_do(stack: Stack) -> None:
    volume = stack.volume()
    stack.sim.fail(Kind.NAME_TAKEN, "POST", DEPLOYMENTS, times=9)
    with pytest.raises(NameTaken, match=r"no list shows by what\. Look at the cloud's own pages"):
        stack.node(volume)
    assert stack.sim.count("POST", DEPLOYMENTS) == 1


def test_two_of_the_name_are_refused_and_both_kept(stack: Stack) -> None:
    volume = stack.volume()
    first = stack.sim.machine(stack.sim.node("web"))
    first.order = first.order.model_copy(update={"name": "x"})
    stack.sim.node("web")
    first.order = first.order.model_copy(update={"name": "web"})
    with pytest.raises(DuplicateName):
        stack.node(volume)
    assert len(stack.sim.world.living()) == 2


@pytest.mark.parametrize("what", ["market", "gpus", "region", "stopped"])
def test_a_node_of_ours_that_is_another_machine_is_deleted_before_the_new_one(stack: Stack, what: str) -> None:
    volume = stack.volume()
    changes: dict[str, dict[str, object]] = {
        "market": {"market": "spot"}, "gpus": {"gpu_count": 4, "gpu": "H200"}, "region": {"region": "FIN-02"}
    }  # fmt: skip
    request = stack.sim.request("web", query=QUERY.model_copy(update=changes.get(what, {})))
    left = stack.sim.cloud.create_node(request, lambda line: None)
    if what == "stopped":
        stack.sim.world.stop(left.node_id)
    node = stack.node(volume)
    assert node.node_id != left.node_id
    stack.require_one()


def test_a_volume_left_with_a_node_that_was_preempted_is_taken_back(stack: Stack) -> None:
    first = stack.up()
    stack.sim.world.preempt(first.node_id)
    assert stack.sim.cloud.read_volume(first.volume_id) is not None
    assert stack.up().node_id != first.node_id
    stack.require_one()


def test_a_volume_that_a_living_node_has_is_not_taken(stack: Stack) -> None:
    volume = stack.volume()
    other = stack.sim.node("other")
    stack.sim.cloud.read_node(other.node_id)
    stack.sim.cloud.attach_volume(other.node_id, volume.volume_id)
    with pytest.raises(VolumeInUse, match=f"attached to node {other.node_id}, which exists"):
        stack.node(volume)
    assert stack.sim.world.disk(volume.volume_id).attached_to == other.node_id


def test_attaching_is_asked_again_after_an_unclear_answer(stack: Stack) -> None:
    stack.sim.fail(Kind.CUT_AFTER, "POST", f"{VOLUMES}/.*/attach")
    stack.up()
    stack.require_one()


def test_a_volume_without_a_place_for_its_machine_is_not_made(stack: Stack) -> None:
    with pytest.raises(OutOfStock, match="no place for volume weights: the cloud offers no 3x H100 SXM, on demand"):
        stack.volume(WISH.model_copy(update={"query": QUERY.model_copy(update={"gpu_count": 3})}))
    assert stack.sim.world.report().volumes == ()


def test_a_node_that_is_too_young_is_waited_for_loudly_and_then_deleted(stack: Stack) -> None:
    stack.sim.world.rules = Rules(minimum_runtime_minutes=20)
    node = stack.up()

    def older(line: str) -> None:
        stack.said.append(line)
        stack.sim.world.advance(600)

    nodes.delete_until_gone(
        stack.sim.cloud, node.node_id, progress=older, cancelled=Event(), pace=Pace(timeout_s=3, poll_s=0.01)
    )
    assert stack.sim.world.report().alive == ()
    assert any("it is billed meanwhile" in line for line in stack.said)


def test_waiting_for_a_node_to_be_old_enough_can_be_stopped(stack: Stack) -> None:
    stack.sim.world.rules = Rules(minimum_runtime_minutes=20)
    node = stack.up()
    stop: Callable[[str], None] = lambda line: stack.cancelled.set() if "billed meanwhile" in line else None  # noqa: E731
    with pytest.raises(Interrupted):
        nodes.delete_until_gone(stack.sim.cloud, node.node_id, progress=stop, cancelled=stack.cancelled)
    assert stack.sim.world.report().alive == ("web",)


@pytest.mark.parametrize("kind", [*LOST, *NEVER_ARRIVED, Kind.TOO_MANY])
def test_a_delete_whose_answer_is_lost_is_made_sure_of(stack: Stack, kind: Kind) -> None:
    node = stack.up()
    stack.sim.fail(kind, "DELETE", f"{DEPLOYMENTS}/.*", times=4)
    stack.down(node.node_id, patience_s=10)
    assert stack.sim.world.report().alive == ()


def test_a_volume_that_a_dead_node_holds_can_be_deleted(stack: Stack) -> None:
    node = stack.up()
    stack.down(node.node_id)
    attached = stack.sim.cloud.read_volume(node.volume_id)
    assert attached is not None
    assert attached.attached_to == node.node_id
    stack.purge(node.volume_id)
    assert stack.sim.world.report().volumes_deleted == ("weights",)


def test_a_node_that_ends_while_it_is_awaited_says_how(stack: Stack) -> None:
    stack.sim.world.rules = Rules(boot_s=3600)
    volume = stack.volume()

    def known(node: Node, ordered: bool) -> None:
        stack.sim.world.preempt(node.node_id)

    request = stack.sim.request("web", volume.volume_id)
    with pytest.raises(CloudError, match=r"vanished while it was awaited \(preempted\): run again"):
        nodes.ensure(
            stack.sim.cloud,
            request,
            wait=reachable,
            progress=stack.said.append,
            cancelled=Event(),
            known=known,
            wish=WISH,
        )


def test_a_holder_that_vanished_without_a_trace_gives_the_volume_back(stack: Stack) -> None:
    node = stack.up()
    stack.sim.world.vanish(node.node_id)
    assert attachments.release(stack.sim.cloud, node.volume_id)
    assert stack.sim.world.disk(node.volume_id).attached_to is None


def test_what_is_not_listed_is_looked_for_again_only_where_a_name_can_be_sold_twice(stack: Stack) -> None:
    looks: list[int] = []

    def find() -> int | None:
        looks.append(1)
        return len(looks) if len(looks) > 2 else None

    assert buying.find_surely(stack.sim.cloud, find, "node web", stack.cancelled) is None
    assert len(looks) == 1
    stack.sim.cloud.unique_names = False
    assert buying.find_surely(stack.sim.cloud, find, "node web", stack.cancelled) == 3
