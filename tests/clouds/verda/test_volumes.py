"""Volumes of Verda: bound to a location, never deleted with a node, attached only while that is shut down."""

import pytest

from nodestack.clouds.base import VolumeRequest
from nodestack.clouds.simulated.faults import Kind
from nodestack.errors import AmbiguousError, CloudError, DuplicateName, InsufficientBalance, VolumeInUse
from tests.clouds.verda.conftest import Shop


def test_a_volume_is_made_where_it_is_asked_for_and_found_by_its_exact_name(shop: Shop) -> None:
    made = shop.volume()
    found = shop.cloud.find_volume("demo-weights")
    assert found is not None
    assert (found.volume_id, found.size_gib, found.region, found.provider) == (made.volume_id, 1000, "FIN-01", "verda")
    assert found.usd_per_hour == pytest.approx(0.13)
    assert shop.cloud.find_volume("demo-weight") is None
    assert shop.cloud.find_volume("demo-weights-2") is None


def test_a_volume_without_a_region_is_refused(shop: Shop) -> None:
    with pytest.raises(CloudError, match="needs a region"):
        shop.cloud.create_volume(VolumeRequest(name="demo-weights", size_gib=10))
    assert shop.world.disks == {}


def test_two_volumes_of_one_name_are_named_both(shop: Shop) -> None:
    first, second = shop.volume(), shop.volume()
    with pytest.raises(DuplicateName) as refused:
        shop.cloud.find_volume("demo-weights")
    assert first.volume_id in str(refused.value)
    assert second.volume_id in str(refused.value)


def test_an_os_volume_is_listed_as_it_bills_and_never_taken_for_a_volume_of_ours(shop: Shop) -> None:
    shop.node()
    assert [volume.name for volume in shop.cloud.list_volumes()] == ["demo-weights", "demo-node-os"]
    assert shop.cloud.find_volume("demo-node-os") is None


def test_a_running_node_neither_takes_nor_gives_a_volume(shop: Shop) -> None:
    node, volume = shop.node()
    other = shop.volume("other-weights")
    with pytest.raises(VolumeInUse, match="shut it down"):
        shop.cloud.attach_volume(node.node_id, other.volume_id)
    with pytest.raises(VolumeInUse, match="shut it down"):
        shop.cloud.detach_volume(node.node_id, volume.volume_id)
    shop.cloud.attach_volume(node.node_id, volume.volume_id)


def test_a_node_that_is_shut_down_takes_and_gives_a_volume(shop: Shop) -> None:
    node, volume = shop.node()
    shop.world.stop(node.node_id)
    shop.cloud.detach_volume(node.node_id, volume.volume_id)
    assert _holder(shop, volume.volume_id) is None
    shop.cloud.detach_volume(node.node_id, volume.volume_id)
    shop.cloud.attach_volume(node.node_id, volume.volume_id)
    assert _holder(shop, volume.volume_id) == node.node_id


def test_a_volume_of_one_node_is_not_given_to_another(shop: Shop) -> None:
    _, volume = shop.node()
    other, _ = shop.node(name="demo-node-2")
    with pytest.raises(VolumeInUse, match="delete that one first"):
        shop.cloud.attach_volume(other.node_id, volume.volume_id)
    with pytest.raises(VolumeInUse, match="delete that one first"):
        shop.cloud.delete_volume(volume.volume_id)
    assert shop.world.report().volumes_deleted == ()


def test_a_volume_is_deleted_for_good_and_deleting_it_again_is_no_error(shop: Shop) -> None:
    volume = shop.volume()
    shop.cloud.delete_volume(volume.volume_id)
    assert shop.cloud.read_volume(volume.volume_id) is None
    assert (shop.project.trash, shop.world.report().volumes) == (set(), ())
    shop.cloud.delete_volume(volume.volume_id)


def test_a_detached_volume_grows_and_an_attached_one_says_what_to_do(shop: Shop) -> None:
    volume = shop.volume()
    assert shop.cloud.grow_volume(volume.volume_id, 1500).size_gib == 1500
    shop.node()
    with pytest.raises(VolumeInUse, match="shut it down"):
        shop.cloud.grow_volume(volume.volume_id, 2000)
    assert shop.world.disk(volume.volume_id).size_gib == 1500


def test_a_volume_that_surely_is_not_there_is_none(shop: Shop) -> None:
    assert shop.cloud.read_volume("0" * 24) is None


def test_a_volume_whose_making_is_in_doubt_is_found_by_its_name(shop: Shop) -> None:
    shop.strike(Kind.CUT_AFTER, "POST", "/volumes")
    with pytest.raises(AmbiguousError):
        shop.volume()
    assert shop.cloud.find_volume("demo-weights") is not None
    assert shop.asked("POST", "/volumes") == 1


def test_a_volume_is_not_made_without_money(shop: Shop) -> None:
    shop.world.pay_in(-2000)
    with pytest.raises(InsufficientBalance):
        shop.volume()


def _holder(shop: Shop, volume_id: str) -> str | None:
    found = shop.cloud.read_volume(volume_id)
    assert found is not None
    return found.attached_to
