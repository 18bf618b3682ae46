"""A paid cloud through the real engine: one node bought and kept, found again, bought anew once it is surely gone."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Machine, Rules
from nodestack.clouds.simulated.world import World
from tests.clouds.answering import AnsweringMachines
from tests.plugin.trial import Run, Trial

pytestmark = pytest.mark.e2e

WISH = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}
NODES, VOLUMES = "/api/deployments", "/api/volumes"


@dataclass
class Bench:
    """A stack, and the simulated account that it is in."""

    trial: Trial
    world: World
    faults: Faults

    def orders(self, path: str = NODES) -> int:
        """Return how often something was ordered."""
        return sum((asked.method, asked.path) == ("POST", path) for asked in self.faults.asked)

    def machine(self) -> Machine:
        """Return the one machine there is."""
        (machine,) = self.world.living()
        return machine

    def node_id(self) -> str:
        """Return the id that the state has."""
        node = self.trial.resource("Node")
        assert node is not None
        return str(node["id"])

    def require_one(self, run: Run) -> Machine:
        """Assert that a run ended well, with one node that has the one volume, and that there never were two."""
        assert run.status == 0, run.text
        machine = self.machine()
        assert self.node_id() == machine.machine_id
        assert [disk.attached_to for disk in self.world.disks.values()] == [machine.machine_id]
        report = self.world.report()
        assert report.most_alive == {"web": 1}
        assert report.volumes_deleted == ()
        return machine


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    world, faults = World(market.standard(), AnsweringMachines(), rules=Rules(page_size=2)), Faults()
    with pytest.MonkeyPatch.context() as patch, serve(spheron.app(world, faults)) as base_url:
        patch.setenv("SPHERON_API_KEY", spheron.API_KEY)
        trial = Trial(tmp_path_factory.mktemp("a trial"), {"kind": "spheron", "base_url": base_url})
        yield Bench(trial, world, faults)
        world.close()


def test_a_price_above_the_limit_buys_nothing_and_says_what_there_is(bench: Bench) -> None:
    run = bench.trial.up(bought={**WISH, "maxUsdPerHour": 17.5})
    assert run.status != 0
    assert "no place for volume weights: no offer of 8x H100 SXM, on demand will do" in run.text
    assert "above 17.50 USD/h (from 17.60 USD/h)" in run.text
    assert bench.orders(VOLUMES) == bench.orders() == 0


def test_up_buys_the_cheapest_node_that_fits_and_a_volume_within_its_reach(bench: Bench) -> None:
    machine = bench.require_one(bench.trial.up(bought=WISH))
    assert (machine.order.offer.offer_id, machine.order.offer.usd_per_hour) == ("8x-h100-a", 17.60)
    node = bench.trial.resource("Node")
    assert node is not None
    told = {name: node["outputs"][name] for name in ("region", "market", "usdPerHour", "ready")}
    assert told == {"region": "us-east-1", "market": "on_demand", "usdPerHour": 17.6, "ready": True}
    assert str(node["outputs"]["createdAt"]).startswith("20")
    assert (bench.orders(VOLUMES), bench.orders()) == (1, 1)


def test_neither_key_is_in_the_state(bench: Bench) -> None:
    assert spheron.API_KEY not in bench.trial.state()
    assert "PRIVATE KEY" not in bench.trial.state()


def test_up_again_asks_little_and_changes_nothing(bench: Bench) -> None:
    before = len(bench.faults.asked)
    run = bench.trial.up()
    assert run.changes == {"unchanged": 3}, run.text
    asked = sorted((each.method, each.path.rpartition("/")[0]) for each in bench.faults.asked[before:])
    assert asked == [("GET", NODES), ("GET", VOLUMES)]


def test_what_says_which_node_is_bought_next_leaves_this_one_alone(bench: Bench) -> None:
    before, said = bench.node_id(), {"maxUsdPerHour": 10, "image": "Ubuntu 24.04", "region": "us-east-1"}
    run = bench.trial.up(bought={**WISH, **said})
    assert run.changes == {"unchanged": 3}, run.text
    assert bench.node_id() == before
    node = bench.trial.resource("Node")
    assert node is not None
    assert said.items() <= node["inputs"].items()


@pytest.mark.parametrize(
    "fault", [Fault(kind=Kind.ERROR_BEFORE, method="GET", path=f"{NODES}/.*", times=99), "rebooting"]
)
def test_what_is_unclear_keeps_the_state_and_buys_nothing(bench: Bench, fault: Fault | str) -> None:
    before, orders = bench.node_id(), bench.orders()
    if isinstance(fault, Fault):
        bench.faults.add(fault)
    else:
        bench.machine().shown_status = fault
    run = bench.trial.up(bought=WISH)
    assert "not refreshed" in run.text
    assert (bench.node_id(), bench.orders()) == (before, orders)
    bench.faults.clear()
    bench.machine().shown_status = ""
    bench.require_one(bench.trial.up())
    assert (bench.node_id(), bench.orders()) == (before, orders)


def test_a_preempted_node_is_planned_anew_by_a_plain_preview_and_bought_anew_by_a_plain_up(bench: Bench) -> None:
    before = bench.machine().machine_id
    bench.world.preempt(before)
    assert bench.trial.preview().changes == {"create": 1, "unchanged": 2}
    assert bench.world.living() == []
    assert bench.require_one(bench.trial.up()).machine_id != before
    assert bench.orders(VOLUMES) == 1


def test_after_its_state_was_lost_all_is_found_again_and_nothing_is_bought(bench: Bench) -> None:
    before, orders = bench.node_id(), bench.orders()
    bench.trial.forget()
    assert bench.trial.resource("Node") is None
    assert bench.require_one(bench.trial.up()).machine_id == before
    assert (bench.orders(), bench.orders(VOLUMES)) == (orders, 1)


def test_another_market_deletes_the_node_before_it_buys_the_next(bench: Bench) -> None:
    run = bench.trial.up(bought={**WISH, "market": "spot"})
    machine = bench.require_one(run)
    assert run.text.index("deleting node") < run.text.index("making node web")
    assert machine.order.offer.market == "spot"


def test_another_account_is_refused_since_the_volume_would_start_empty(bench: Bench) -> None:
    here = bench.trial.wanted["account"]
    run = bench.trial.up(account={"kind": "verda", "base_url": "http://127.0.0.1:1/v1"})
    bench.trial.wanted["account"] = here
    assert run.status != 0
    assert "the volume is kept at cloud spheron, verda was asked for: volumes do not move" in run.text
    assert len(bench.world.living()) == 1


def test_a_missing_key_is_one_message_and_the_state_stays(bench: Bench) -> None:
    before = bench.node_id()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPHERON_API_KEY")
        run = bench.trial.up()
    assert run.status != 0
    assert "SPHERON_API_KEY is not set: make a key at" in run.text
    assert bench.node_id() == before


def test_destroying_waits_the_minimum_runtime_out_and_leaves_nothing(bench: Bench) -> None:
    bench.world.rules = bench.world.rules.model_copy(update={"minimum_runtime_minutes": 60})
    with bench.trial.start("destroy") as destroying:
        deadline = time.monotonic() + 60
        while not any((asked.method, asked.status) == ("DELETE", 400) for asked in bench.faults.asked):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(bench.world.living()) == 1
        bench.world.advance(3600)
        text, _ = destroying.communicate(timeout=60)
    assert destroying.returncode == 0, text
    assert "old enough to be deleted, it is billed meanwhile" in text
    assert (bench.world.living(), bench.world.disks) == ([], {})
    assert "resources" not in json.loads(bench.trial.state())["checkpoint"]["latest"]
