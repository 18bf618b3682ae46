"""A volume is found again by its name, grows, and is lost only when somebody asks for that."""

from threading import Event

import pytest

from nodestack.clouds.base import Volume, VolumeRequest
from nodestack.errors import CloudError, Interrupted
from nodestack.lifecycle import volumes
from nodestack.lifecycle.pace import Pace
from tests.lifecycle.memory_cloud import Fault, MemoryCloud

REQUEST = VolumeRequest(name="weights", size_gib=100)
FAST = Pace(timeout_s=0.05, poll_s=0.001)


def ensure(cloud: MemoryCloud, size_gib: int = 100) -> Volume:
    request = REQUEST.model_copy(update={"size_gib": size_gib})
    return volumes.ensure(cloud, request, progress=lambda line: None, cancelled=Event())


def test_a_volume_of_the_name_is_adopted_not_made_again() -> None:
    cloud = MemoryCloud()
    assert ensure(cloud) == ensure(cloud)
    assert len(cloud.volumes) == 1


def test_a_smaller_volume_of_the_name_is_grown_and_keeps_its_id() -> None:
    cloud = MemoryCloud()
    small = ensure(cloud, 100)
    assert ensure(cloud, 200) == small.model_copy(update={"size_gib": 200})


def test_a_larger_volume_of_the_name_stays_as_large_as_it_is() -> None:
    cloud = MemoryCloud()
    large = ensure(cloud, 200)
    assert ensure(cloud, 100) == large


def test_a_lost_answer_to_create_does_not_make_a_second_volume() -> None:
    cloud = MemoryCloud()
    cloud.fail(2, Fault.ANSWER_LOST)
    assert ensure(cloud).volume_id in cloud.volumes
    assert cloud.calls == ["find_volume", "preflight", "create_volume", "find_volume"]
    assert len(cloud.volumes) == 1


def test_a_refusal_is_told_as_the_cloud_told_it() -> None:
    cloud = MemoryCloud()
    cloud.fail(2, Fault.REFUSED)
    with pytest.raises(CloudError, match="create_volume was refused"):
        ensure(cloud)


def test_where_no_node_can_live_no_volume_is_made_either() -> None:
    cloud = MemoryCloud()
    cloud.fail(1, Fault.REFUSED)
    with pytest.raises(CloudError, match="preflight was refused"):
        ensure(cloud)
    assert cloud.volumes == {}


def test_nothing_is_asked_of_the_cloud_once_cancelled() -> None:
    cloud, cancelled = MemoryCloud(), Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        volumes.ensure(cloud, REQUEST, progress=lambda line: None, cancelled=cancelled)
    assert cloud.calls == []


def test_deleting_what_is_gone_is_no_error_and_an_unclear_answer_is_asked_again() -> None:
    cloud = MemoryCloud()
    volume = ensure(cloud)
    cloud.fail(1, Fault.ANSWER_LOST)
    for _ in range(2):
        volumes.delete_until_gone(cloud, volume.volume_id, progress=lambda line: None, cancelled=Event(), pace=FAST)
    assert cloud.volumes == {}
