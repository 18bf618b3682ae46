"""A state that is lost, with and without the stack's keys: what the account holds is taken up, nothing bought twice."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nodestack.provisioning import keys
from tests.clouds.markets import REQUESTS, Market, open_market
from tests.plugin.trial import Run, Trial

pytestmark = [pytest.mark.e2e, pytest.mark.independent]

BOUGHT = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}


@dataclass
class Bench:
    """A stack, and the simulated account that it is in."""

    trial: Trial
    market: Market

    def require_one(self, run: Run, volume_id: str) -> str:
        """Assert that one node lives and has the one volume there ever was, and return the node's id."""
        assert run.status == 0, run.text
        (machine,) = self.market.world.living()
        node = self.trial.resource("Node")
        assert node is not None
        assert node["id"] == machine.machine_id
        assert self.market.volumes() == [volume_id]
        assert self.market.world.disk(volume_id).attached_to == machine.machine_id
        assert self.market.world.report().most_alive == {"web": 1}
        assert self.market.count("making the volume") == 1
        return machine.machine_id


# The rest is left to `make qualify`: each run of the engine takes seconds.
ALWAYS = "spheron"
PARAMS = [pytest.param(cloud, marks=() if cloud == ALWAYS else pytest.mark.qualify) for cloud in REQUESTS]


@pytest.fixture(scope="module", params=PARAMS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_market(request.param, answering=True) as market:
        trial = Trial(tmp_path_factory.mktemp("a trial"), market.account)
        run = trial.up(bought=BOUGHT)
        assert run.status == 0, run.text
        yield Bench(trial, market)


@pytest.mark.qualify
def test_with_the_stacks_file_node_and_volume_are_adopted_and_nothing_is_bought(bench: Bench) -> None:
    (volume_id,) = bench.market.volumes()
    (machine,) = bench.market.world.living()
    orders = bench.market.count("ordering the node")
    bench.trial.forget()
    run = bench.trial.up()
    assert "found node web, going on with it" in run.text
    assert bench.require_one(run, volume_id) == machine.machine_id
    assert bench.market.count("ordering the node") == orders


def test_with_its_keys_lost_too_the_node_is_left_alone_until_it_is_deleted_and_the_volume_is_adopted(
    bench: Bench,
) -> None:
    (volume_id,) = bench.market.volumes()
    (machine,) = bench.market.world.living()
    orders = bench.market.count("ordering the node")
    bench.trial.forget(keys.generate())
    for _ in range(2):
        refused = bench.trial.up()
        assert refused.status != 0
        assert "delete it and run again, its volume stays: nodestack sweep --delete web" in refused.text
        assert bench.trial.resource("Node") is None, "what is recorded is deleted with the stack"
    assert bench.market.world.living() == [machine], "it may serve for another checkout"
    assert bench.market.count("ordering the node") == orders
    bench.market.world.advance(3600)
    bench.market.world.delete(machine.machine_id)
    run = bench.trial.up()
    assert bench.require_one(run, volume_id) != machine.machine_id
    assert bench.market.count("ordering the node") == orders + 1


@pytest.mark.qualify
def test_with_the_state_kept_another_key_is_another_node_deleted_before_the_next_is_bought(bench: Bench) -> None:
    (volume_id,) = bench.market.volumes()
    (machine,) = bench.market.world.living()
    bench.trial.rotate(keys.generate())
    run = bench.trial.up()
    assert bench.require_one(run, volume_id) != machine.machine_id
    assert run.text.index("deleting node") < run.text.index("making node web")


@pytest.mark.qualify
def test_what_a_cloud_gave_no_host_key_is_deleted_and_the_next_run_buys_another(bench: Bench) -> None:
    (volume_id,) = bench.market.volumes()
    (machine,) = bench.market.world.living()
    bench.market.world.preempt(machine.machine_id)
    bench.market.world.rules = bench.market.world.rules.model_copy(update={"drop_cloud_init": True})
    refused = bench.trial.up()
    assert refused.status != 0
    assert "Node web was deleted, so that it is not billed for nothing: run again to have another" in refused.text
    assert bench.market.world.living() == []
    bench.market.world.rules = bench.market.world.rules.model_copy(update={"drop_cloud_init": False})
    bench.require_one(bench.trial.up(), volume_id)
