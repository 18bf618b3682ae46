"""A simulated account that is written down: whoever goes on with it knows all that the one before knew."""

import json
from pathlib import Path

from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated.kept import KeptWorld
from nodestack.clouds.simulated.machines import MemoryMachines, Order
from nodestack.clouds.simulated.things import Rules, State

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
