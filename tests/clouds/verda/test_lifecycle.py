"""The lifecycle against Verda: one node for one name whatever goes wrong, and weights that outlive every node."""

from threading import Event

import pytest

from nodestack.clouds.base import Node, NodeRequest, NodeStatus, OfferQuery, VolumeRequest
from nodestack.clouds.simulated.faults import Kind
from nodestack.errors import AmbiguousError, InsufficientBalance, OutOfStock
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.pace import Pace
from tests.clouds.verda.conftest import Open, Shop

WISH = Wish(query=OfferQuery(gpu="H100", gpu_count=8, sxm=True))
SOON = Pace(timeout_s=0.5, poll_s=0.05)
BOOT = Pace(timeout_s=5, poll_s=0.05)


def up(shop: Shop, wish: Wish = WISH) -> Node:
    """Do what one `up` does for volume and node."""
    wanted = VolumeRequest(name="demo-weights", size_gib=1000)
    volume = volumes.ensure(shop.cloud, wanted, progress=shop.told.append, cancelled=Event(), wish=wish, settle=SOON)
    request = shop.request(volume, offer=shop.offer()).model_copy(update={"offer": None})
    return nodes.ensure(
        shop.cloud,
        NodeRequest.model_validate(request),
        wait=lambda node, progress, cancelled: None,
        progress=shop.told.append,
        cancelled=Event(),
        boot=BOOT,
        wish=wish,
        settle=SOON,
    )


def down(shop: Shop) -> None:
    """Do what tearing the node down does."""
    nodes.delete_by_name(shop.cloud, "demo-node", progress=shop.told.append, cancelled=Event(), pace=BOOT)


def test_up_up_down_up_buys_one_node_each_time_and_keeps_the_weights(shop: Shop) -> None:
    first = up(shop)
    assert up(shop).node_id == first.node_id
    down(shop)
    assert shop.world.report().volumes == ("demo-weights",)
    second = up(shop)
    assert second.identity != first.identity
    assert second.volume_id == first.volume_id
    report = shop.world.report()
    assert (report.orders, report.most_alive) == ({"demo-node": 2}, {"demo-node": 1})


@pytest.mark.parametrize("leave", [True, False])
def test_a_preempted_node_is_gone_and_the_next_up_replaces_it(open_shop: Open, leave: bool) -> None:
    shop = open_shop(preempted_leave_the_list=leave)
    spot = Wish(query=WISH.query.model_copy(update={"market": "spot"}))
    lost = up(shop, spot)
    shop.world.preempt(lost.node_id)
    assert nodes.observe(shop.cloud, lost.node_id) is None
    up(shop, spot)
    report = shop.world.report()
    assert (report.alive, report.most_alive) == (("demo-node",), {"demo-node": 1})
    assert report.volumes == ("demo-node-os", "demo-weights")


@pytest.mark.parametrize("state", ["fail", "stop"])
def test_a_node_that_does_not_come_up_is_replaced_and_leaves_nothing(shop: Shop, state: str) -> None:
    broken = up(shop)
    getattr(shop.world, state)(broken.node_id)
    assert up(shop).status is NodeStatus.RUNNING
    report = shop.world.report()
    assert (report.alive, report.most_alive) == (("demo-node",), {"demo-node": 1})
    assert report.volumes == ("demo-node-os", "demo-weights")


@pytest.mark.parametrize(
    "kind", [Kind.ERROR_AFTER, Kind.CUT_AFTER, Kind.GARBLED, Kind.TOO_MANY, Kind.ERROR_BEFORE, Kind.CUT_BEFORE]
)
@pytest.mark.parametrize("path", ["/instances", "/volumes", "/scripts", "/sshkeys"])
def test_whatever_post_goes_wrong_one_node_comes_of_it(shop: Shop, kind: Kind, path: str) -> None:
    shop.strike(kind, "POST", path)
    for _ in range(3):
        try:
            node = up(shop)
            break
        except AmbiguousError:
            continue
    assert node.status is NodeStatus.RUNNING
    report = shop.world.report()
    assert (report.most_alive, report.alive) == ({"demo-node": 1}, ("demo-node",))
    assert report.volumes == ("demo-node-os", "demo-weights")
    down(shop)
    assert shop.project.scripts == {}
    assert shop.world.report().volumes == ("demo-weights",)


@pytest.mark.parametrize("kind", [Kind.ERROR_AFTER, Kind.CUT_AFTER, Kind.ERROR_BEFORE, Kind.TOO_MANY])
def test_whatever_goes_wrong_with_a_deletion_the_node_is_gone_in_the_end(shop: Shop, kind: Kind) -> None:
    up(shop)
    shop.strike(kind, "PUT", "/instances")
    down(shop)
    report = shop.world.report()
    assert (report.alive, report.volumes) == ((), ("demo-weights",))


def test_a_node_that_takes_its_time_to_go_is_waited_for_and_never_adopted(open_shop: Open) -> None:
    shop = open_shop(deleting_s=0.6)
    leaving = up(shop)
    shop.cloud.delete_node(leaving.node_id)
    assert nodes.observe(shop.cloud, leaving.node_id) is not None
    after = up(shop)
    assert after.node_id != leaving.node_id
    down(shop)
    report = shop.world.report()
    assert (report.alive, report.most_alive, report.volumes) == ((), {"demo-node": 1}, ("demo-weights",))


def test_a_location_that_is_sold_out_leads_to_the_next_one_only_without_a_volume(shop: Shop) -> None:
    node = up(shop)
    down(shop)
    for key in shop.world.stock:
        if key[1] == node.region:
            shop.world.stock[key] = 0
    with pytest.raises(OutOfStock, match="out of the volume's reach"):
        up(shop)
    assert shop.world.report().alive == ()


def test_a_project_that_cannot_pay_the_first_hour_buys_nothing(open_shop: Open) -> None:
    shop = open_shop(balance_usd=20)
    with pytest.raises(InsufficientBalance, match=r"20\.\d\d|19\.\d\d"):
        up(shop)
    assert shop.world.report().orders == {}
