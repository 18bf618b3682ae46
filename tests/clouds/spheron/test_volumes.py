"""Volumes on Spheron: each thing they are known for, told by a test."""

import pytest

from nodestack.clouds.base import VolumeRequest
from nodestack.clouds.simulated.things import Rules
from nodestack.errors import (
    CloudError,
    VolumeInUse,
)
from tests.clouds.spheron.bench import Spheron

DEPLOYMENTS, VOLUMES = "/api/deployments", "/api/volumes"


def test_naming_a_volume_with_the_order_does_not_attach_it_but_attaching_after_running_does(sim: Spheron) -> None:
    volume = sim.volume()
    sim.world.rules = Rules(boot_s=60)
    node = sim.node(volume_id=volume.volume_id)
    assert sim.cloud.read_volume(volume.volume_id) == volume
    with pytest.raises(CloudError, match="The instance is not running"):
        sim.cloud.attach_volume(node.node_id, volume.volume_id)
    sim.world.advance(61)
    for _ in range(2):
        sim.cloud.attach_volume(node.node_id, volume.volume_id)
    seen = sim.cloud.read_volume(volume.volume_id)
    assert seen is not None
    assert seen.attached_to == node.node_id


def test_a_volume_must_be_detached_to_be_deleted(sim: Spheron) -> None:
    volume, node = sim.volume(), sim.node()
    sim.cloud.read_node(node.node_id)
    sim.cloud.attach_volume(node.node_id, volume.volume_id)
    with pytest.raises(VolumeInUse):
        sim.cloud.delete_volume(volume.volume_id)
    for _ in range(2):
        sim.cloud.detach_volume(node.node_id, volume.volume_id)
    for _ in range(2):
        sim.cloud.delete_volume(volume.volume_id)
    assert sim.cloud.read_volume(volume.volume_id) is None
    sim.cloud.detach_volume(node.node_id, volume.volume_id)


def test_a_volume_of_another_region_cannot_be_attached(sim: Spheron) -> None:
    volume = sim.volume(region="FIN-02", provider="data-crunch")
    with pytest.raises(CloudError, match="another region"):
        sim.node(volume_id=volume.volume_id)
    assert sim.world.report().orders == {}


def test_a_volume_needs_provider_and_region(sim: Spheron) -> None:
    with pytest.raises(CloudError, match="without a provider and a region"):
        sim.cloud.create_volume(VolumeRequest(name="weights", size_gib=1))
    assert sim.count("POST", VOLUMES) == 0


def test_a_volume_grows_and_keeps_its_place(sim: Spheron) -> None:
    volume = sim.volume()
    grown = sim.cloud.grow_volume(volume.volume_id, 20)
    assert (grown.size_gib, grown.region, grown.volume_id) == (20, "us-east-1", volume.volume_id)
