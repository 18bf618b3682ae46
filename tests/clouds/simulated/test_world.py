"""The simulated world: what it bills, how long it shows what, and that its ledger counts right."""

import pytest

from nodestack.clouds.simulated import market
from nodestack.clouds.simulated.machines import MemoryMachines, Order
from nodestack.clouds.simulated.things import Refused, Rules, State, Why
from nodestack.clouds.simulated.world import World


def a_world(rules: Rules | None = None, balance_usd: float = 1000) -> World:
    return World(market.standard(), MemoryMachines(), balance_usd, rules)


def order(world: World, name: str = "web", *, unique_names: bool = True) -> str:
    return world.order(Order(name=name, offer=world.market[0]), unique_names=unique_names).machine_id


def test_machines_and_volumes_are_billed_by_the_second_until_they_end() -> None:
    world = a_world(Rules(volume_usd_per_gib_hour=0.001))
    machine_id = order(world)
    world.make_disk("weights", 100, "p", "r")
    world.advance(1800)
    world.delete(machine_id)
    world.advance(1800)
    assert world.report().spent_usd == pytest.approx(17.60 / 2 + 0.1, abs=0.01)
    assert world.balance_usd == pytest.approx(1000 - 8.9, abs=0.01)


class SlowMachines(MemoryMachines):
    """Machines that take an hour to start and one to end."""

    world: World

    def start(self, machine_id: str, order: Order) -> None:
        super().start(machine_id, order)
        self.world.advance(3600)

    def end(self, machine_id: str, *, at_once: bool = False) -> None:
        self.world.advance(3600)
        super().end(machine_id, at_once=at_once)


def test_a_machine_is_billed_from_its_order_to_its_end_as_the_ledger_has_them() -> None:
    machines = SlowMachines()
    machines.world = world = World(market.standard(), machines)
    world.delete(order(world))
    ordered, ended = (event for event in world.ledger.events if event.what in ("ordered", "deleted"))
    assert (ended.at - ordered.at).total_seconds() == pytest.approx(3600, abs=5)
    hours = (ended.at - ordered.at).total_seconds() / 3600
    assert world.report().spent_usd == pytest.approx(17.60 * hours, abs=1e-9)


def test_the_ledger_counts_what_was_alive_at_once_and_what_was_bought_twice() -> None:
    world = a_world()
    first = order(world)
    second = order(world, unique_names=False)
    report = world.report()
    assert (report.alive, report.most_alive, report.orders) == (("web", "web"), {"web": 2}, {"web": 2})
    world.delete(first)
    world.preempt(second)
    assert world.report().alive == ()
    assert world.report().most_alive == {"web": 2}


def test_the_ledger_counts_volumes_that_were_deleted() -> None:
    world = a_world()
    kept, lost = world.make_disk("kept", 1, "p", "r"), world.make_disk("lost", 1, "p", "r")
    world.delete_disk(lost.disk_id)
    assert (world.report().volumes, world.report().volumes_deleted) == (("kept",), ("lost",))
    assert world.disk(kept.handle) is kept


def test_stock_goes_with_each_order_and_comes_back_with_each_end() -> None:
    world = a_world()
    one, _ = order(world, "one"), order(world, "two")
    with pytest.raises(Refused, match="out of stock"):
        order(world, "three")
    world.preempt(one)
    order(world, "three")


def test_a_machine_runs_after_its_time_and_not_before() -> None:
    world = a_world(Rules(boot_s=60))
    machine_id = order(world)
    assert world.machine(machine_id).state is State.DEPLOYING
    world.advance(61)
    assert world.machine(machine_id).state is State.RUNNING


def test_new_things_are_missing_from_as_many_lists_as_the_rules_say() -> None:
    world = a_world(Rules(lists_lag_calls=2))
    order(world)
    world.make_disk("weights", 1, "p", "r")
    assert [len(world.listed_machines()) for _ in range(3)] == [0, 0, 1]
    assert [len(world.listed_disks()) for _ in range(3)] == [0, 0, 1]


def test_a_machine_whose_processes_ended_by_themselves_counts_as_taken_back() -> None:
    behind = MemoryMachines()
    world = World(market.standard(), behind)
    machine_id = order(world)
    behind.end(machine_id)
    assert world.machine(machine_id).state is State.PREEMPTED


@pytest.mark.parametrize(("minutes", "expected"), [(0, 20), (19, 1), (19.5, 1), (20, 0), (30, 0)])
def test_the_rest_of_a_minimum_runtime_is_rounded_up(minutes: float, expected: int) -> None:
    world = a_world(Rules(minimum_runtime_minutes=20))
    machine_id = order(world)
    world.advance(minutes * 60)
    assert world.remaining_minutes(machine_id) == expected


def test_a_volume_is_attached_to_one_machine_that_runs_and_is_near() -> None:
    world = a_world()
    offer = world.market[0]
    near, far = world.make_disk("near", 1, offer.provider, offer.region), world.make_disk("far", 1, "p", "r")
    machine_id, other = order(world), order(world, "other")
    world.settle()
    world.attach(near.disk_id, machine_id)
    for disk, machine, why in ((near, other, Why.IN_USE), (far, machine_id, Why.WRONG_REGION)):
        with pytest.raises(Refused) as refused:
            world.attach(disk.disk_id, machine)
        assert refused.value.why is why


def test_without_money_nothing_is_sold() -> None:
    world = a_world(balance_usd=0)
    with pytest.raises(Refused) as refused:
        order(world)
    assert refused.value.why is Why.INSUFFICIENT_BALANCE


def test_a_world_that_closes_leaves_no_machine() -> None:
    world = a_world()
    order(world)
    world.close()
    assert world.report().alive == ()
