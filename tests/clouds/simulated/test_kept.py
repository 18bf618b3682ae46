"""A simulated account that is written down: whoever goes on with it knows all that the one before knew."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import NodeRequest, NodeStatus, OfferQuery, VerdaAccount, VolumeRequest
from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated import verda
from nodestack.clouds.simulated.kept import KeptWorld
from nodestack.clouds.simulated.kept_project import KeptProject
from nodestack.clouds.simulated.machines import MemoryMachines, Order
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Rules, State
from nodestack.clouds.verda import VerdaCloud

OFFER = Offer(offer_id="8x", provider="p", region="r", gpu="H100_SXM5", gpu_count=8, market="spot", usd_per_hour=10.0)
ORDER = Order(name="web", offer=OFFER, ssh_public_key="ssh-ed25519 AAAA", files={"/etc/key": "a private key"})


def world(file: Path, machines: MemoryMachines) -> KeptWorld:
    made = KeptWorld([(OFFER, 3)], machines, balance_usd=500.0)
    made.keep_in(file)
    return made


def test_machines_volumes_stock_money_and_ledger_are_known_again(tmp_path: Path) -> None:
    machines = MemoryMachines()
    first = world(tmp_path / "world.json", machines)
    first.rules = Rules(minimum_runtime_minutes=20)
    machine, disk = first.order(ORDER), first.make_disk("weights", 16, "p", "r")
    first.advance(3600)
    first.attach(disk.disk_id, machine.machine_id)

    second = world(tmp_path / "world.json", machines)
    assert second.machine(machine.machine_id).state is State.RUNNING
    assert second.disk("computefilesystem-" + disk.disk_id[:8]).attached_to == machine.machine_id
    assert second.stock == first.stock == {("8x", "r", "spot"): 2}
    assert second.rules == first.rules
    assert second.ledger.events == first.ledger.events
    assert abs(second.balance_usd - first.balance_usd) < 0.01 and 489 < second.balance_usd < 491
    second.delete(machine.machine_id)
    assert second.report().alive == () and second.stock == {("8x", "r", "spot"): 3}


def test_what_ended_between_two_servers_is_found_to_have_ended(tmp_path: Path) -> None:
    machines = MemoryMachines()
    machine = world(tmp_path / "world.json", machines).order(ORDER)
    machines.end(machine.machine_id)
    second = world(tmp_path / "world.json", machines)
    assert second.machine(machine.machine_id).state is State.PREEMPTED
    assert world(tmp_path / "world.json", machines).report().most_alive == {"web": 1}


def test_what_cloud_init_wrote_is_not_written_down(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    world(file, MemoryMachines()).order(ORDER)
    text = file.read_text()
    assert json.loads(text)["machines"][0]["order"]["ssh_public_key"] == ORDER.ssh_public_key
    assert "a private key" not in text


@contextmanager
def verda_project(directory: Path, machines: MemoryMachines) -> Iterator[tuple[KeptProject, VerdaCloud]]:
    """A server of a project that is kept in a directory."""
    kept = KeptWorld(verda.market(), machines)
    kept.keep_in(directory / "world.json")
    project = KeptProject(kept, verda.CLIENT_ID, verda.CLIENT_SECRET, deleting_s=60)
    project.keep_in(directory / "project")
    with pytest.MonkeyPatch.context() as patch, serve(verda.application(project)) as base_url:
        patch.setenv("VERDA_CLIENT_ID", verda.CLIENT_ID)
        patch.setenv("VERDA_CLIENT_SECRET", verda.CLIENT_SECRET)
        yield project, VerdaCloud(VerdaAccount(base_url=f"{base_url}/v1"))


def verda_node(cloud: VerdaCloud) -> str:
    """Order a spot instance with a volume and return its id."""
    volume = cloud.create_volume(VolumeRequest(name="weights", size_gib=16, region="FIN-01"))
    query = OfferQuery(gpu="H100", gpu_count=8, sxm=True, market="spot", region="FIN-01")
    request = NodeRequest(
        name="web",
        shape="local",
        volume_id=volume.volume_id,
        ssh_public_key=ORDER.ssh_public_key,
        ssh_host_private_key=SecretStr("a private key"),
        market="spot",
        offer=cloud.offers(query)[0],
    )
    return cloud.create_node(request, lambda line: None).node_id


def test_a_verda_project_is_known_again_and_its_scripts_only_to_its_owner(tmp_path: Path) -> None:
    machines = MemoryMachines()
    with verda_project(tmp_path, machines) as (first, cloud):
        node_id = verda_node(cloud)
    assert [path.name for path in tmp_path.iterdir() if b"a private key" in path.read_bytes()] == ["project"]
    assert stat.S_IMODE((tmp_path / "project").stat().st_mode) == 0o600
    with verda_project(tmp_path, machines) as (second, cloud):
        assert (second.keys, second.scripts) == (first.keys, first.scripts)
        node = cloud.read_node(node_id)
        assert node is not None and second.world.report().volumes == ("web-os", "weights")
        assert second.world.disk(node.volume_id).name == "weights", "told from its boot disk"
        second.world.preempt(node_id)
        assert cloud.read_node(node_id) is not None
    with verda_project(tmp_path, machines) as (third, cloud):
        assert [volume.name for volume in cloud.list_volumes()] == ["weights"]
        assert third.world.report().volumes_deleted == ("web-os",), "as its policy for a lost spot instance says"


def test_an_instance_that_was_being_deleted_goes_after_a_restart_with_its_boot_disk_alone(tmp_path: Path) -> None:
    machines = MemoryMachines()
    with verda_project(tmp_path, machines) as (_, cloud):
        node_id = verda_node(cloud)
        cloud.delete_node(node_id)
    with verda_project(tmp_path, machines) as (project, cloud):
        leaving = cloud.read_node(node_id)
        assert leaving is not None and leaving.status is NodeStatus.STOPPED
        project.world.advance(120)
        assert cloud.read_node(node_id) is None
        assert [volume.name for volume in cloud.list_volumes()] == ["weights"]
        assert (project.world.report().alive, project.scripts) == ((), {})
    with verda_project(tmp_path, machines) as (_, cloud):
        assert cloud.list_nodes() == ()
