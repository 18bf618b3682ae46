"""Instances of Verda: ordered once, told apart, deleted with their OS volume and never with the weights."""

import pytest

from nodestack.clouds.base import NodeStatus
from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.things import Rules
from nodestack.errors import AmbiguousError, CloudError, DuplicateName, InsufficientBalance, OutOfStock
from tests.clouds.verda.conftest import Open, Shop


def test_a_post_answers_with_the_id_as_plain_text(shop: Shop) -> None:
    node, volume = shop.node()
    assert node.node_id in shop.world.machines
    assert volume.volume_id in shop.world.disks
    assert node.status is NodeStatus.BOOTING


def test_a_node_runs_as_root_at_the_address_and_price_it_is_billed_at(shop: Shop) -> None:
    ordered, volume = shop.node()
    node = shop.cloud.read_node(ordered.node_id)
    assert node is not None
    assert (node.status, node.ssh_user, node.ssh_port) == (NodeStatus.RUNNING, "root", 22)
    assert node.address.startswith("192.0.2.")
    assert (node.identity, node.volume_id) == (ordered.identity, volume.volume_id)
    assert (node.region, node.market, node.usd_per_hour, node.gpu_count) == ("FIN-01", "on_demand", 27.06, 8)
    assert (node.gpu, ordered.gpu) == ("H100 SXM5", "H100 SXM5")
    assert node.created_at is not None


def test_the_volume_is_made_first_and_comes_with_the_order(shop: Shop) -> None:
    node, volume = shop.node()
    found = shop.cloud.read_volume(volume.volume_id)
    assert found is not None
    assert found.attached_to == node.node_id


def test_the_startup_script_carries_the_host_key(shop: Shop) -> None:
    node, _ = shop.node()
    order = shop.world.machines[node.node_id].order
    assert order.files["/etc/ssh/ssh_host_ed25519_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\nthe-host-key")
    assert order.ssh_public_key == "ssh-ed25519 AAAAclient"


def test_a_key_that_is_registered_already_is_used(shop: Shop) -> None:
    shop.project.keys["known"] = ("the user's", "ssh-ed25519 AAAAclient me@home")
    shop.node()
    assert list(shop.project.keys) == ["known"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("new", NodeStatus.BOOTING),
        ("ordered", NodeStatus.BOOTING),
        ("provisioning", NodeStatus.BOOTING),
        ("validating", NodeStatus.BOOTING),
        ("running", NodeStatus.RUNNING),
        ("offline", NodeStatus.STOPPED),
        ("error", NodeStatus.STOPPED),
        ("installation_failed", NodeStatus.STOPPED),
        ("deleting", NodeStatus.STOPPED),
        ("discontinued", NodeStatus.TERMINATED),
        ("no_capacity", NodeStatus.TERMINATED),
    ],
)
def test_every_documented_status_has_its_meaning(shop: Shop, word: str, status: NodeStatus) -> None:
    node, _ = shop.node()
    shop.world.machines[node.node_id].shown_status = word
    seen = shop.cloud.read_node(node.node_id)
    assert seen is not None
    assert seen.status is status
    assert (seen.ended_because is None) == (status is not NodeStatus.TERMINATED)
    assert (shop.cloud.find_node("demo-node") is None) == (status is NodeStatus.TERMINATED)


@pytest.mark.parametrize("word", ["unknown", "notfound", "hibernating"])
def test_a_status_that_does_not_tell_raises(shop: Shop, word: str) -> None:
    node, _ = shop.node()
    shop.world.machines[node.node_id].shown_status = word
    with pytest.raises(AmbiguousError, match=word):
        shop.cloud.read_node(node.node_id)
    with pytest.raises(AmbiguousError, match=word):
        shop.cloud.find_node("demo-node")
    with pytest.raises(AmbiguousError, match=word):
        shop.cloud.delete_node(node.node_id)
    assert shop.world.report().alive == ("demo-node",)


def test_another_instance_with_an_unknown_status_is_no_concern(shop: Shop) -> None:
    shop.node()
    other, _ = shop.node(name="demo-node-2")
    shop.world.machines[other.node_id].shown_status = "hibernating"
    assert shop.cloud.find_node("demo-node") is not None


def test_a_node_without_gpus_is_not_taken_for_another_machine(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    node, _ = shop.node()
    shop.node(name="cpu-only")
    told = shop.project.instance_json
    monkeypatch.setattr(shop.project, "instance_json", lambda machine: told(machine) | {"gpu": None})
    with pytest.raises(AmbiguousError, match="which GPUs"):
        shop.cloud.find_node("demo-node")
    assert shop.cloud.read_node(node.node_id) is not None
    assert len(shop.cloud.list_nodes()) == 2


def test_a_name_that_another_one_begins_with_is_told_apart(shop: Shop) -> None:
    shop.node(name="demo-node-2")
    assert shop.cloud.find_node("demo-node") is None


def test_two_of_one_name_are_named_both(shop: Shop) -> None:
    first, _ = shop.node()
    shop.cloud.create_node(shop.request(shop.volume("other-weights")), shop.told.append)
    with pytest.raises(DuplicateName, match=first.node_id):
        shop.cloud.find_node("demo-node")


@pytest.mark.parametrize("leave", [True, False])
def test_a_lost_spot_node_leaves_the_list_or_is_discontinued(open_shop: Open, leave: bool) -> None:
    shop = open_shop(preempted_leave_the_list=leave)
    node, volume = shop.node("spot")
    shop.world.preempt(node.node_id)
    assert shop.cloud.find_node("demo-node") is None
    assert shop.cloud.list_nodes() == ()
    seen = shop.cloud.read_node(node.node_id)
    if leave:
        assert seen is None
    else:
        assert seen is not None
        assert (seen.status, seen.ended_because) == (NodeStatus.TERMINATED, "preempted")
    kept = shop.cloud.read_volume(volume.volume_id)
    assert kept is not None
    assert kept.attached_to is None


def test_the_os_volume_of_a_lost_spot_node_goes_and_the_weights_stay(shop: Shop) -> None:
    node, _ = shop.node("spot")
    assert shop.world.report().volumes == ("demo-node-os", "demo-weights")
    shop.world.preempt(node.node_id)
    assert [volume.name for volume in shop.cloud.list_volumes()] == ["demo-weights"]


def test_a_deleted_node_takes_its_os_volume_along_and_leaves_the_weights(shop: Shop) -> None:
    node, _ = shop.node()
    os_volume = next(disk for disk in shop.world.disks.values() if disk.name == "demo-node-os")
    shop.cloud.delete_node(node.node_id)
    assert shop.cloud.read_node(node.node_id) is None
    assert shop.project.acts[-1].volume_ids == (os_volume.disk_id,)
    assert shop.project.acts[-1].delete_permanently
    assert (shop.world.report().volumes, shop.project.trash) == (("demo-weights",), set())
    shop.cloud.delete_node(node.node_id)


def test_the_startup_script_goes_with_the_node(shop: Shop) -> None:
    node, _ = shop.node()
    assert len(shop.project.scripts) == 1
    shop.cloud.delete_node(node.node_id)
    assert shop.project.scripts == {}


def test_an_os_volume_that_stayed_behind_is_deleted_before_the_next_order(shop: Shop) -> None:
    node, volume = shop.node()
    shop.world.preempt(node.node_id)
    assert [one.name for one in shop.cloud.list_volumes()] == ["demo-weights", "demo-node-os"]
    shop.cloud.create_node(shop.request(volume), shop.told.append)
    assert shop.world.report().volumes == ("demo-node-os", "demo-weights")
    assert shop.world.report().volumes_deleted == ("demo-node-os",)


def test_a_discontinued_node_that_is_deleted_leaves_no_os_volume(shop: Shop) -> None:
    node, _ = shop.node()
    shop.world.preempt(node.node_id)
    shop.cloud.delete_node(node.node_id)
    assert shop.world.report().volumes == ("demo-weights",)


def test_os_volumes_of_other_nodes_are_left_alone(shop: Shop) -> None:
    other, _ = shop.node(name="demo-node-2")
    shop.world.preempt(other.node_id)
    node, _ = shop.node()
    shop.cloud.delete_node(node.node_id)
    assert shop.world.report().volumes == ("demo-node-2-os", "demo-weights", "demo-weights-2")


def test_a_node_in_error_can_be_deleted(shop: Shop) -> None:
    node, _ = shop.node()
    shop.world.fail(node.node_id)
    seen = shop.cloud.find_node("demo-node")
    assert seen is not None
    shop.cloud.delete_node(seen.node_id)
    assert shop.cloud.find_node("demo-node") is None
    assert shop.world.report().volumes == ("demo-weights",)


def test_a_deletion_refused_inside_an_accepting_answer_is_no_deletion(shop: Shop) -> None:
    node, _ = shop.node()
    shop.world.rules = Rules(minimum_runtime_minutes=20)
    with pytest.raises(CloudError, match="did not delete"):
        shop.cloud.delete_node(node.node_id)
    assert shop.cloud.read_node(node.node_id) is not None


def test_nothing_left_is_out_of_stock(shop: Shop) -> None:
    request = shop.request(shop.volume())
    shop.world.stock = dict.fromkeys(shop.world.stock, 0)
    with pytest.raises(OutOfStock, match="Another location"):
        shop.cloud.create_node(request, shop.told.append)
    assert (shop.world.report().orders, shop.project.scripts) == ({}, {})


def test_insufficient_funds_are_told_as_such(shop: Shop) -> None:
    request = shop.request(shop.volume())
    shop.world.pay_in(-2000)
    with pytest.raises(InsufficientBalance, match="Top it up"):
        shop.cloud.create_node(request, shop.told.append)
    with pytest.raises(InsufficientBalance, match="top it up"):
        shop.cloud.preflight()


def test_a_misspelt_instance_type_is_refused_without_effect(shop: Shop) -> None:
    wrong = shop.offer().model_copy(update={"offer_id": "8H100.80S.200V@FIN-01/on_demand"})
    request = shop.request(shop.volume(), offer=wrong)
    with pytest.raises(CloudError, match="invalid instance type") as refused:
        shop.cloud.create_node(request, shop.told.append)
    assert not isinstance(refused.value, AmbiguousError)


def test_a_volume_of_another_location_is_refused_without_effect(shop: Shop) -> None:
    request = shop.request(shop.volume(region="ICE-01"))
    with pytest.raises(CloudError, match="another location"):
        shop.cloud.create_node(request, shop.told.append)
    assert shop.world.report().orders == {}


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (Kind.ERROR_BEFORE, 0),
        (Kind.ERROR_AFTER, 1),
        (Kind.TIMEOUT_BEFORE, 0),
        (Kind.TIMEOUT_AFTER, 1),
        (Kind.CUT_BEFORE, 0),
        (Kind.CUT_AFTER, 1),
        (Kind.GARBLED, 1),
    ],
)
def test_an_order_is_never_sent_twice_on_doubt(shop: Shop, kind: Kind, made: int) -> None:
    request = shop.request(shop.volume())
    # The client's own patience for an order is 90 s; the fault cuts the connection sooner.
    shop.strike(kind, "POST", "/instances", hang_s=0.2)
    with pytest.raises(AmbiguousError):
        shop.cloud.create_node(request, shop.told.append)
    assert (shop.cloud.find_node("demo-node") is not None) == bool(made)
    assert shop.asked("POST", "/instances") == 1
    assert len(shop.world.living()) == made


@pytest.mark.parametrize("path", ["/scripts", "/sshkeys"])
def test_doubt_before_the_order_is_no_doubt_about_the_order(shop: Shop, path: str) -> None:
    request = shop.request(shop.volume())
    shop.strike(Kind.CUT_AFTER, "POST", path)
    shop.cloud.create_node(request, shop.told.append)
    assert (len(shop.project.scripts), shop.world.report().orders) == (1, {"demo-node": 1})
    shop.strike(Kind.CUT_AFTER, "POST", "/scripts", times=2)
    with pytest.raises(CloudError, match="Nothing was ordered") as refused:
        shop.cloud.create_node(request.model_copy(update={"name": "demo-node-2"}), shop.told.append)
    assert not isinstance(refused.value, AmbiguousError)


def test_an_order_is_sent_again_after_429(shop: Shop) -> None:
    request = shop.request(shop.volume())
    shop.strike(Kind.TOO_MANY, "POST", "/instances")
    shop.cloud.create_node(request, shop.told.append)
    assert len(shop.cloud.list_nodes()) == 1
    assert shop.asked("POST", "/instances") == 2
    assert shop.world.report().orders == {"demo-node": 1}


def test_a_list_that_lags_shows_the_node_later(shop: Shop) -> None:
    request = shop.request(shop.volume())
    shop.world.rules = Rules(lists_lag_calls=1)
    node = shop.cloud.create_node(request, shop.told.append)
    assert shop.cloud.read_node(node.node_id) is not None
    assert shop.cloud.find_node("demo-node") is None
    assert shop.cloud.find_node("demo-node") is not None


def test_a_listing_that_fails_is_not_empty(shop: Shop) -> None:
    shop.node()
    for kind in (Kind.ERROR_BEFORE, Kind.GARBLED, Kind.CUT_BEFORE):
        shop.strike(kind, "GET", "/instances", times=3)
        with pytest.raises(AmbiguousError):
            shop.cloud.find_node("demo-node")
        shop.faults.clear()


def test_the_limit_is_kept_and_nothing_is_asked_for(shop: Shop) -> None:
    request = shop.request(shop.volume(), max_usd_per_hour=20)
    before = len(shop.faults.asked)
    with pytest.raises(CloudError, match=r"costs \$27.06 an hour, the limit is \$20.00"):
        shop.cloud.create_node(request, shop.told.append)
    assert len(shop.faults.asked) == before


def test_an_order_needs_an_offer_of_verda_and_of_the_market(shop: Shop) -> None:
    volume = shop.volume()
    offer = shop.offer()
    for changes, words in [
        ({"offer": offer.model_copy(update={"provider": "other"})}, "none of Verda's"),
        ({"offer": offer, "market": "spot"}, "spot was asked for"),
        ({"offer": offer.model_copy(update={"images": ()})}, "lists no image"),
    ]:
        with pytest.raises(CloudError, match=words):
            shop.cloud.create_node(shop.request(volume, **changes), shop.told.append)  # type: ignore[arg-type]
    with pytest.raises(CloudError, match="no offer was chosen"):
        shop.cloud.create_node(shop.request(volume).model_copy(update={"offer": None}), shop.told.append)
    assert shop.world.report().orders == {}
