"""Teams, money, keys and errors of a Spheron account."""

import pytest

from nodestack.clouds.base import SpheronAccount
from nodestack.clouds.simulated.spheron_json import TEAM_ID
from nodestack.clouds.simulated.things import Rules
from nodestack.clouds.spheron import SpheronCloud
from nodestack.errors import (
    AmbiguousError,
    CloudError,
    InsufficientBalance,
)
from tests.clouds.spheron.bench import IMPATIENT, Spheron

DEPLOYMENTS, VOLUMES = "/api/deployments", "/api/volumes"


def test_an_error_may_be_an_object(sim: Spheron) -> None:
    sim.world.rules = Rules(boot_s=60)
    with pytest.raises(CloudError, match="400: The instance is not running"):
        sim.cloud.attach_volume(sim.node().node_id, sim.volume().volume_id)


def test_the_balance_is_the_current_teams_not_the_first_ones(sim: Spheron) -> None:
    balance = sim.cloud.balance()
    assert (balance.holder, round(balance.usd)) == (TEAM_ID, 1000)


def test_a_team_that_the_key_does_not_have_is_told_with_those_it_has(sim: Spheron) -> None:
    strange = SpheronCloud(SpheronAccount(base_url=sim.base_url, team_id="team-x"), IMPATIENT)
    with pytest.raises(
        CloudError, match=rf"team team-x is not among the key's teams, which are: team-other, {TEAM_ID}"
    ):
        strange.preflight()
    with pytest.raises(CloudError, match="team team-x is not among the key's teams"):
        strange.find_volume("weights")


def test_without_money_nothing_is_ordered(sim: Spheron) -> None:
    sim.world.pay_in(-2000)
    with pytest.raises(InsufficientBalance, match="paid beforehand: pay in first"):
        sim.cloud.preflight()
    with pytest.raises(InsufficientBalance):
        sim.node()


def test_a_missing_key_is_told_by_the_variable_it_belongs_in(sim: Spheron, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPHERON_API_KEY")
    with pytest.raises(CloudError, match=r"SPHERON_API_KEY is not set: make a key at"):
        sim.cloud.preflight()
    assert sim.faults.asked == []


@pytest.mark.parametrize("key", ["sai_pk_wrong", "sai_pk_wrong\n", "sai\x00pk", "schlüssel"])
def test_a_wrong_key_is_told_without_showing_it(sim: Spheron, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"SPHERON_API_KEY": key})
    else:
        monkeypatch.setenv("SPHERON_API_KEY", key)
    with pytest.raises(CloudError) as refused:
        sim.cloud.preflight()
    assert "key" in str(refused.value)
    assert key.strip() not in str(refused.value)


def test_a_host_that_does_not_answer_is_told_and_nothing_was_ordered(sim: Spheron) -> None:
    nobody = SpheronCloud(SpheronAccount(base_url="http://127.0.0.1:1", team_id=TEAM_ID), IMPATIENT)
    with pytest.raises(CloudError, match="check that this machine reaches it") as refused:
        nobody.create_node(sim.request(), lambda line: None)
    assert not isinstance(refused.value, AmbiguousError)
