"""A paid cloud through the real engine: one node bought and kept, found again, bought anew once it is surely gone."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nodestack.clouds.accounts import key_variables
from nodestack.clouds.simulated.faults import Fault, Kind
from nodestack.clouds.simulated.kinds import KINDS
from nodestack.clouds.simulated.things import Machine
from nodestack.clouds.simulated.world import World
from tests.plugin import paid
from tests.plugin.paid import WISH, Cloud
from tests.plugin.trial import Run, Trial

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Goods:
    """The cheapest node that is wished for, as a cloud sells it.

    Attributes:
        offer_id: Of the offer.
        region: Where it stands.
        usd_per_hour: Its price on demand.
        image: An operating system that it may have.
    """

    offer_id: str
    region: str
    usd_per_hour: float
    image: str


CHEAPEST = {
    "spheron": Goods("8x-h100-a", "us-east-1", 17.60, "Ubuntu 24.04"),
    "verda": Goods("8H100.80S.176V", "FIN-01", 27.06, "ubuntu-24.04"),
}


@dataclass
class Bench:
    """A stack, and the simulated account that it is in."""

    trial: Trial
    cloud: Cloud

    @property
    def world(self) -> World:
        return self.cloud.world

    @property
    def goods(self) -> Goods:
        return CHEAPEST[self.cloud.kind]

    def orders(self) -> tuple[int, int]:
        """Return how many volumes and nodes were ordered."""
        return self.cloud.orders(self.cloud.volumes), self.cloud.orders(self.cloud.nodes)

    def require_one(self, run: Run) -> Machine:
        return self.cloud.require_one(self.trial, run)


@pytest.fixture(scope="module", params=paid.CLOUDS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with paid.opened(request.param) as cloud:
        yield Bench(paid.trial_in(cloud, tmp_path_factory.mktemp("a trial")), cloud)


def test_a_price_above_the_limit_buys_nothing_and_says_what_there_is(bench: Bench) -> None:
    price = bench.goods.usd_per_hour
    run = bench.trial.up(bought={**WISH, "maxUsdPerHour": price - 0.1})
    assert run.status != 0
    assert "no place for volume weights: no offer of 8x H100 SXM, on demand will do" in run.text
    assert f"above {price - 0.1:.2f} USD/h (from {price:.2f} USD/h)" in run.text
    assert bench.orders() == (0, 0)


def test_up_buys_the_cheapest_node_that_fits_and_a_volume_within_its_reach(bench: Bench) -> None:
    machine = bench.require_one(bench.trial.up(bought=WISH))
    goods = bench.goods
    assert (machine.order.offer.offer_id, machine.order.offer.usd_per_hour) == (goods.offer_id, goods.usd_per_hour)
    node = bench.trial.resource("Node")
    assert node is not None
    told = {name: node["outputs"][name] for name in ("region", "market", "usdPerHour", "ready")}
    known = {"region": goods.region, "usdPerHour": goods.usd_per_hour}
    assert told == known | {"market": "on_demand", "ready": True}
    assert str(node["outputs"]["createdAt"]).startswith("20")
    assert bench.orders() == (1, 1)


def test_no_key_is_in_the_state(bench: Bench) -> None:
    state = bench.trial.state()
    assert [text for text in (*KINDS[bench.cloud.kind].keys.values(), "PRIVATE KEY") if text in state] == []


def test_up_again_asks_little_and_changes_nothing(bench: Bench) -> None:
    before = len(bench.cloud.faults.asked)
    run = bench.trial.up()
    assert run.changes == {"unchanged": 3}, run.text
    asked = sorted(each.path.rpartition("/")[0] for each in bench.cloud.faults.asked[before:] if each.method == "GET")
    assert asked == [bench.cloud.nodes, bench.cloud.volumes]
    # Where keys buy a token first, once for either.
    assert {each.path for each in bench.cloud.faults.asked[before:] if each.method != "GET"} <= {"/v1/oauth2/token"}


def test_what_says_which_node_is_bought_next_leaves_this_one_alone(bench: Bench) -> None:
    goods = bench.goods
    before, said = bench.trial.node_id(), {"maxUsdPerHour": 10, "image": goods.image, "region": goods.region}
    run = bench.trial.up(bought={**WISH, **said})
    assert run.changes == {"unchanged": 3}, run.text
    assert bench.trial.node_id() == before
    node = bench.trial.resource("Node")
    assert node is not None
    assert said.items() <= node["inputs"].items()


@pytest.mark.parametrize("shown_status", ["", "rebooting"], ids=["no answer", "a status that nobody knows"])
def test_what_is_unclear_keeps_the_state_and_buys_nothing(bench: Bench, shown_status: str) -> None:
    before, orders = bench.trial.node_id(), bench.orders()
    if not shown_status:
        path = f"{bench.cloud.nodes}/.*"
        bench.cloud.faults.add(Fault(kind=Kind.ERROR_BEFORE, method="GET", path=path, times=99))
    bench.cloud.machine().shown_status = shown_status
    run = bench.trial.up(bought=WISH)
    assert "not refreshed" in run.text
    assert (bench.trial.node_id(), bench.orders()) == (before, orders)
    bench.cloud.faults.clear()
    bench.cloud.machine().shown_status = ""
    bench.require_one(bench.trial.up())
    assert (bench.trial.node_id(), bench.orders()) == (before, orders)


def test_a_preempted_node_is_planned_anew_by_a_plain_preview_and_bought_anew_by_a_plain_up(bench: Bench) -> None:
    before = bench.cloud.machine().machine_id
    bench.world.preempt(before)
    assert bench.trial.preview().changes == {"create": 1, "unchanged": 2}
    assert bench.world.living() == []
    assert bench.require_one(bench.trial.up()).machine_id != before
    assert bench.orders() == (1, 2)


def test_after_its_state_was_lost_all_is_found_again_and_nothing_is_bought(bench: Bench) -> None:
    before, orders = bench.trial.node_id(), bench.orders()
    bench.trial.forget()
    assert bench.trial.resource("Node") is None
    assert bench.require_one(bench.trial.up()).machine_id == before
    assert bench.orders() == orders


def test_another_market_deletes_the_node_before_it_buys_the_next(bench: Bench) -> None:
    run = bench.trial.up(bought={**WISH, "market": "spot"})
    machine = bench.require_one(run)
    assert run.text.index("deleting node") < run.text.index("making node web")
    assert machine.order.offer.market == "spot"


def test_another_account_is_refused_since_the_volume_would_start_empty(bench: Bench) -> None:
    here = bench.trial.wanted["account"]
    other = "verda" if bench.cloud.kind == "spheron" else "spheron"
    run = bench.trial.up(account={"kind": other, "base_url": "http://127.0.0.1:1"})
    bench.trial.wanted["account"] = here
    assert run.status != 0
    assert f"the volume is kept at cloud {bench.cloud.kind}, {other} was asked for: volumes do not move" in run.text
    assert len(bench.world.living()) == 1


def test_a_missing_key_is_one_message_and_the_state_stays(bench: Bench) -> None:
    before = bench.trial.node_id()
    *_, variable = key_variables(KINDS[bench.cloud.kind].account).values()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(variable)
        run = bench.trial.up()
    assert run.status != 0
    assert f"{variable} is not set: make " in run.text
    assert bench.trial.node_id() == before


def test_destroying_waits_a_minimum_runtime_out_and_leaves_nothing(bench: Bench) -> None:
    if bench.cloud.kind != "spheron":
        # The one that has it.
        destroyed = bench.trial.run("destroy", "--yes", "--skip-preview")
        assert destroyed.status == 0, destroyed.text
    else:
        _destroy_too_early(bench)
    assert (bench.world.living(), bench.world.disks) == ([], {})
    assert "resources" not in json.loads(bench.trial.state())["checkpoint"]["latest"]


def _destroy_too_early(bench: Bench) -> None:
    bench.world.rules = bench.world.rules.model_copy(update={"minimum_runtime_minutes": 60})
    with bench.trial.start("destroy") as destroying:
        deadline = time.monotonic() + 60
        while not any((asked.method, asked.status) == ("DELETE", 400) for asked in bench.cloud.faults.asked):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(bench.world.living()) == 1
        bench.world.advance(3600)
        text, _ = destroying.communicate(timeout=60)
    assert destroying.returncode == 0, text
    assert "old enough to be deleted, it is billed meanwhile" in text
