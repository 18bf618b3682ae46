"""Two stacks in one account, one's names the beginnings of the other's: through the real engine, never touched."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.plugin import paid
from tests.plugin.paid import WISH, Cloud
from tests.plugin.trial import Trial

pytestmark = [pytest.mark.e2e, pytest.mark.qualify]


@dataclass
class Pair:
    """Two stacks and the account of both: one has `web` and `weights`, the other `web-os` and `weights-os`."""

    cloud: Cloud
    short: Trial
    long: Trial

    def belongings(self, trial: Trial) -> dict[str, str | None]:
        """Return the ids of a stack's machine and volumes, and what these are attached to."""
        suffix = trial.wanted["suffix"]
        ours = (f"web{suffix}-os", f"weights{suffix}")
        machines = {one.machine_id: None for one in self.cloud.world.living() if one.order.name == f"web{suffix}"}
        disks = (disk for disk in self.cloud.world.disks.values() if disk.name in ours)
        return machines | {disk.disk_id: disk.attached_to for disk in disks}


@pytest.fixture(scope="module", params=paid.CLOUDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with paid.opened(request.param) as cloud:
        # The worst of endings: a node's boot disk at Verda is called after the node, with this at its end.
        short, long = (paid.trial_in(cloud, tmp_path_factory.mktemp("a trial"), suffix) for suffix in ("", "-os"))
        yield Pair(cloud, short, long)


def test_each_gets_its_own_node_and_volume(pair: Pair) -> None:
    for trial in (pair.long, pair.short):
        pair.cloud.require_one(trial, trial.up(bought={**WISH, "market": "spot"}))
    assert pair.belongings(pair.short).keys().isdisjoint(pair.belongings(pair.long))
    assert pair.cloud.world.report().orders == {"web": 1, "web-os": 1}


@pytest.mark.parametrize("which", ["short", "long"])
def test_what_one_lost_it_buys_anew_and_finds_again_without_a_hand_on_the_others(pair: Pair, which: str) -> None:
    trial, other = (pair.short, pair.long) if which == "short" else (pair.long, pair.short)
    before, orders = pair.belongings(other), pair.cloud.orders(pair.cloud.nodes)
    pair.cloud.world.preempt(trial.node_id())
    machine = pair.cloud.require_one(trial, trial.up())
    trial.forget()
    assert pair.cloud.require_one(trial, trial.up()).machine_id == machine.machine_id
    assert pair.cloud.orders(pair.cloud.nodes) == orders + 1
    assert pair.belongings(other) == before
    assert other.up().changes == {"unchanged": 3}


def test_destroying_one_leaves_all_of_the_other(pair: Pair) -> None:
    before = pair.belongings(pair.long)
    destroyed = pair.short.run("destroy", "--yes", "--skip-preview")
    assert destroyed.status == 0, destroyed.text
    assert pair.belongings(pair.long) == before
    assert pair.long.up().changes == {"unchanged": 3}
    again = pair.short.up()
    assert again.changes == {"created": 3}, again.text
    before = pair.belongings(pair.short)
    destroyed = pair.long.run("destroy", "--yes", "--skip-preview")
    assert destroyed.status == 0, destroyed.text
    assert pair.belongings(pair.short) == before
    assert [one.order.name for one in pair.cloud.world.living()] == ["web"]
    assert {disk.name for disk in pair.cloud.world.disks.values()} <= {"web-os", "weights"}
