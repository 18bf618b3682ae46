"""A watch against simulated clouds over HTTP: preemptions, cuts, kills, fallbacks, parking; the ledger is the bill."""

from datetime import timedelta
from itertools import pairwise

import pytest

from nodestack.automation.bill import Bill
from nodestack.clouds.simulated.faults import Fault, Kind
from nodestack.settings.watch import WatchSettings
from tests.automation.watched import TERMS, Bench, Bomb, Killed

CENT = 0.005
STRIDES = pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.qualify)])


def cut(bench: Bench, kind: Kind = Kind.CUT_BEFORE) -> None:
    bench.market.faults.add(Fault(kind=kind, path="/.*", times=10**6))


def test_what_is_well_stays_and_is_written_down_once(bench: Bench) -> None:
    before = bench.whats()
    for _ in range(3):
        assert bench.settle().do == "nothing"
    assert bench.whats() == before == ["wanted", "node"]


def test_a_preempted_node_is_replaced_with_its_volume(bench: Bench) -> None:
    before = bench.runs.state
    bench.preempt()
    assert bench.settle().do == "nothing"
    bench.runs.require_one()
    assert bench.runs.state.node_id != before.node_id
    assert bench.runs.state.volume_id == before.volume_id
    assert bench.whats()[-4:] == ["gone", "trying", "node", "up"]
    assert "preempted" in bench.journal.entries()[-4].because


@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.ERROR_BEFORE, Kind.GARBLED])
def test_a_network_cut_of_ten_minutes_replaces_nothing(bench: Bench, kind: Kind) -> None:
    before = bench.runs.state
    cut(bench, kind)
    for _ in range(10):
        assert bench.settle().do == "wait"
        bench.advance(60)
    bench.market.faults.clear()
    assert bench.settle().do == "nothing"
    assert bench.runs.state == before
    assert bench.market.world.report().orders == {"web": 1}
    assert bench.whats()[-2:] == ["unclear", "clear"], "told once, however long it lasts"


def test_a_node_that_is_taken_during_a_cut_is_replaced_after_it(bench: Bench) -> None:
    cut(bench)
    bench.settle()
    bench.preempt()
    bench.advance(600)
    bench.settle()
    assert bench.alive() == []
    bench.market.faults.clear()
    bench.settle()
    bench.runs.require_one()


@pytest.mark.parametrize("request_name", ["listing nodes", "reading the node"])
def test_one_answer_that_is_missing_is_enough_to_doubt(spheron: Bench, request_name: str) -> None:
    spheron.preempt()
    spheron.market.fail(Kind.ERROR_BEFORE, request_name, times=99)
    assert spheron.settle().do == "wait"
    assert spheron.alive() == []
    spheron.market.faults.clear()
    spheron.settle()
    spheron.runs.require_one()


def test_while_another_run_is_at_work_the_cloud_is_not_even_asked(bench: Bench) -> None:
    bench.preempt()
    asked = len(bench.market.faults.asked)
    bench.runs.busy = "process 1"
    assert bench.settle().do == "wait"
    assert len(bench.market.faults.asked) == asked
    assert bench.whats() == ["wanted", "node"]


def killed_at(bench: Bench, tick: int) -> bool:
    """Run a watch that is killed at its n-th doing; return whether it came that far."""
    bench.bomb = Bomb(at=tick)
    try:
        bench.settle()
    except Killed:
        return True
    finally:
        bench.bomb = Bomb()
    return False


@STRIDES
def test_a_watch_that_is_killed_anywhere_is_continued_by_the_next(bench: Bench, stride: int) -> None:
    tick = 1 - stride
    while True:
        tick += stride
        before = bench.runs.state
        bench.preempt()
        came = killed_at(bench, tick)
        bench.until(lambda: bench.alive() == ["spot"], minutes=5)
        bench.runs.require_one()
        assert bench.runs.state.volume_id == before.volume_id
        if not came:
            break
    assert tick > 20, "it was killed at each of its doings"


@STRIDES
def test_parking_that_is_killed_anywhere_is_continued_by_the_next(bench: Bench, stride: int) -> None:
    tick = 1 - stride
    while True:
        tick += stride
        bench.write("lease", until=bench.now, hours=1)
        came = killed_at(bench, tick)
        bench.until(lambda: bench.journal.memory().wanted is False, minutes=5)
        assert bench.alive() == []
        bench.runs.require_never_two()
        bench.want()
        if not came:
            break
    assert tick > 10


@pytest.mark.parametrize("torn", ['{"at":"2026-11-27T12:', "\x00\x00\x00"])
def test_a_line_that_was_cut_off_is_none_and_the_next_one_is_whole(spheron: Bench, torn: str) -> None:
    with spheron.journal.path.open("a", encoding="utf-8") as file:
        file.write(torn)
    spheron.preempt()
    spheron.settle()
    spheron.runs.require_one()
    assert spheron.whats()[-4:] == ["gone", "trying", "node", "up"]


def test_fallbacks_are_bought_in_the_order_declared_and_the_last_one_parks(spheron: Bench) -> None:
    spheron.terms = WatchSettings(
        fallbacks=("region", "on_demand", "offer", "park"), offer_max_usd_per_hour=50, on_demand_hours=9
    )
    elsewhere = spheron.wishes["declared"].query.model_copy(update={"region": "elsewhere"})
    spheron.wishes["declared"] = spheron.wishes["declared"].model_copy(update={"query": elsewhere})
    spheron.preempt()
    spheron.settle()
    spheron.preempt()
    spheron.sold_out("8x-h100-a::spot")
    spheron.settle()
    assert spheron.alive() == ["on_demand"]
    spheron.preempt()
    for offer in ("8x-h100-a", "8x-h100-b", "8x-h100-c"):
        spheron.sold_out(offer)
    spheron.settle()
    # A cloud lists what it has none of: only the order tells.
    tried = spheron.runs.upped[1:]
    assert tried == ["region", "region", "on_demand", "region", "on_demand", "offer"]
    why = "nothing can be had: declared: nothing fits, region failed, on_demand failed, offer failed"
    assert spheron.journal.memory().parked_because == why
    assert spheron.alive() == []
    spheron.runs.require_never_two()


def test_a_step_whose_run_fails_gives_way_to_the_next(spheron: Bench) -> None:
    spheron.preempt()
    spheron.runs.refusals = [255]
    spheron.settle()
    assert spheron.runs.upped[1:] == ["declared", "on_demand"]
    assert spheron.alive() == ["on_demand"]


def test_without_fallbacks_it_is_tried_again_later_and_later_until_there_is_one(spheron: Bench) -> None:
    spheron.terms = WatchSettings(fallbacks=())
    spheron.preempt()
    spheron.sold_out("8x-h100-a::spot")
    spheron.until(lambda: spheron.whats().count("exhausted") == 6, step_s=30)
    at = [entry.at for entry in spheron.journal.entries() if entry.what == "exhausted"]
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits == sorted(waits) and waits[-1] > timedelta(minutes=7)
    assert spheron.alive() == []
    spheron.sold_out("8x-h100-a::spot", left=1)
    spheron.until(lambda: spheron.alive() == ["spot"], minutes=31)


def test_a_node_on_demand_goes_after_its_hours_for_one_that_is_declared(spheron: Bench) -> None:
    spheron.preempt()
    spheron.sold_out("8x-h100-a::spot")
    spheron.settle()
    assert spheron.alive() == ["on_demand"]
    spheron.sold_out("8x-h100-a::spot", left=1)
    spheron.advance(3.9 * 3600)
    spheron.settle()
    assert spheron.alive() == ["on_demand"]
    spheron.advance(0.2 * 3600)
    spheron.settle()
    assert spheron.alive() == ["spot"]
    spheron.runs.require_one()


def test_a_node_on_demand_goes_after_its_hours_even_where_nothing_else_can_be_had(spheron: Bench) -> None:
    spheron.preempt()
    spheron.sold_out("8x-h100-a::spot")
    spheron.settle()
    spheron.advance(4 * 3600)
    spheron.settle()
    assert spheron.alive() == []
    assert spheron.journal.memory().wanted is False
    assert "hours on demand are over" in spheron.journal.memory().parked_because


def test_a_budget_keeps_nodes_from_being_bought_until_the_day_has_room(spheron: Bench) -> None:
    spheron.terms = WatchSettings(fallbacks=(), budget_usd_per_day=8.4 * 5)
    spheron.advance(4.5 * 3600)
    spheron.preempt()
    assert spheron.settle().do == "wait"
    assert "not within the budget" in spheron.journal.entries()[-1].because
    spheron.until(lambda: spheron.alive() == ["spot"], minutes=60 * 26, step_s=600)
    entries = spheron.journal.entries()
    hours = (entries[-1].at - entries[0].at) / timedelta(hours=1)
    assert 24.4 < hours < 25.2
    assert spheron.journal.memory().usd_of_the_last_day(spheron.now) <= 8.4 * 5


def test_what_is_parked_by_a_lease_costs_what_its_volume_does_and_the_bill_is_the_ledgers(spheron: Bench) -> None:
    world = spheron.market.world
    spheron.write("lease", until=spheron.now + timedelta(hours=2), hours=2)
    before = Bill.of(spheron.market.cloud, "web", "weights", spheron.now)
    assert before.node_usd_per_hour == pytest.approx(8.4)
    assert before.volume_usd_per_hour == pytest.approx(10 * 0.00013)
    spheron.until(lambda: spheron.alive() == [], minutes=121)
    parked_at, spent = spheron.now, world.report().spent_usd
    parked = Bill.of(spheron.market.cloud, "web", "weights", spheron.now)
    assert (parked.has_node, parked.has_volume, parked.node_usd_per_hour) == (False, True, None)
    spheron.advance(24 * 3600)
    spheron.settle()
    volume = (parked.volume_usd_per_hour or 0) * ((spheron.now - parked_at) / timedelta(hours=1))
    assert world.report().spent_usd - spent == pytest.approx(volume, abs=CENT)
    spheron.want()
    spheron.runs.require_one()


def test_what_the_journal_says_was_spent_is_the_ledgers_to_the_cent(spheron: Bench) -> None:
    world = spheron.market.world
    begun = spheron.now
    spheron.terms = TERMS
    for hours in (0.7, 2.2, 1.3):
        spheron.advance(hours * 3600)
        spheron.preempt()
        spheron.settle()
    spheron.advance(1800)
    volume = 10 * 0.00013 * ((spheron.now - begun) / timedelta(hours=1))
    said = spheron.journal.memory().usd_of_the_last_day(spheron.now) + volume
    assert said == pytest.approx(world.report().spent_usd, abs=CENT)
    assert said > 4.7 * 8.4


def test_an_idle_stack_is_parked_after_its_node_was_drained(bench: Bench) -> None:
    bench.terms = WatchSettings(idle_minutes=30)
    node = bench.runs.state.node_id
    for idle_s in (None, 0.0, 1799.0):
        bench.runs.told_idle_s = idle_s
        assert bench.settle().do == "nothing"
    bench.runs.told_idle_s = 1800.0
    bench.settle()
    assert bench.alive() == []
    assert bench.runs.drained == [node]
    assert bench.whats()[-3:] == ["parking", "drained", "parked"]
    bench.advance(9 * 3600)
    assert bench.settle().do == "nothing", "until somebody wants it"


def test_a_lost_state_has_its_node_adopted_and_none_bought(bench: Bench) -> None:
    before = bench.runs.state
    bench.runs.state = type(before)()
    bench.settle()
    assert bench.runs.state == before
    assert bench.market.world.report().orders == {"web": 1}


def test_a_volume_that_is_gone_is_not_made_anew(spheron: Bench) -> None:
    spheron.preempt()
    for disk in spheron.market.world.disks.values():
        disk.attached_to = None
    spheron.market.world.delete_disk(spheron.runs.state.volume_id)
    assert spheron.settle().do == "refuse"
    assert spheron.market.world.report().volumes == ()


def test_a_node_that_was_switched_off_is_left_to_a_person(spheron: Bench) -> None:
    for machine in spheron.market.world.living():
        spheron.market.world.stop(machine.machine_id)
    assert spheron.settle().do == "refuse"
    assert spheron.market.world.report().orders == {"web": 1}
