"""Verda and a machine one has, over gRPC: bought once or taken as it is, and told by its host key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodestack import clouds
from nodestack.clouds.simulated import verda
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World
from nodestack.provisioning import keys, reach
from tests.clouds.answering import Door
from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, Failed, plugin_opening

SECRET = "the-client-secret"  # noqa: S105 - of a cloud that ends with the test
BOUGHT: dict[str, Any] = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}, "market": "spot"}


@dataclass
class Shop:
    """A simulated Verda, the plugin before it, and what it waited for over SSH: host and seconds for its host key."""

    engine: Engine
    world: World
    faults: Faults
    account: dict[str, Any]
    reached: list[tuple[reach.Connection, float]]

    def volume(self) -> Existing:
        asked = inputs.volume(Path()) | {"account": self.account} | BOUGHT
        return self.engine.create("Volume", asked)

    def node(self, volume: Existing, **changes: object) -> Existing:
        asked = inputs.node(Path(), volume.resource_id, "8x-h100-sxm5") | {"account": self.account} | BOUGHT | changes
        return self.engine.create("Node", asked)

    def orders(self) -> int:
        return sum((asked.method, asked.path) == ("POST", "/v1/instances") for asked in self.faults.asked)


def _noted_in(reached: list[tuple[reach.Connection, float]]) -> Callable[..., None]:
    def wait(connection: reach.Connection, *, wrong_key_grace_s: float, **_: object) -> None:
        reached.append((connection, wrong_key_grace_s))

    return wait


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("VERDA_CLIENT_ID", "the-client")
    monkeypatch.setenv("VERDA_CLIENT_SECRET", SECRET)
    reached: list[tuple[reach.Connection, float]] = []
    monkeypatch.setattr(reach, "wait_for_node", _noted_in(reached))
    world, faults = World(verda.market()), Faults()
    project = verda.Project(world, "the-client", SECRET)
    with serve(verda.application(project, faults)) as base_url, plugin_opening(clouds.open_account) as engine:
        yield Shop(engine, world, faults, {"kind": "verda", "base_url": f"{base_url}/v1"}, reached)


def test_a_spot_node_is_bought_once_near_its_volume_and_adopted_after_its_state_was_lost(shop: Shop) -> None:
    volume = shop.volume()
    node = shop.node(volume)
    assert (node.outputs["market"], node.outputs["usdPerHour"], node.outputs["ready"]) == ("spot", 13.53, True)
    assert node.outputs["region"] == shop.world.disk(volume.resource_id).region
    assert shop.world.disk(volume.resource_id).attached_to == node.resource_id
    ((connection, grace_s),) = shop.reached
    assert (connection.host_public_key, grace_s) == (node.outputs["sshHostPublicKey"], 20)
    assert (shop.volume().resource_id, shop.node(volume).resource_id) == (volume.resource_id, node.resource_id)
    assert shop.orders() == 1


def test_a_discontinued_node_is_gone_and_the_next_one_gets_the_same_volume(shop: Shop) -> None:
    volume = shop.volume()
    node = shop.node(volume)
    shop.world.preempt(node.resource_id)
    assert shop.engine.read(node) is None
    again = shop.node(volume)
    assert again.outputs["identity"] != node.outputs["identity"]
    assert shop.world.disk(volume.resource_id).attached_to == again.resource_id


def test_what_is_unclear_keeps_what_is_recorded(shop: Shop) -> None:
    node = shop.node(shop.volume())
    shop.faults.add(Fault(kind=Kind.ERROR_BEFORE, method="GET", path=r"/v1/instances.*", times=9))
    assert shop.engine.read(node) == node


def test_a_lost_answer_to_the_order_is_no_second_node(shop: Shop) -> None:
    volume = shop.volume()
    shop.faults.add(Fault(kind=Kind.CUT_AFTER, method="POST", path=r"/v1/instances"))
    node = shop.node(volume)
    assert [machine.machine_id for machine in shop.world.living()] == [node.resource_id]
    assert shop.orders() == 1


def test_deleting_leaves_the_volume_and_nothing_else(shop: Shop) -> None:
    volume = shop.volume()
    shop.engine.delete(shop.node(volume))
    assert shop.world.living() == []
    assert list(shop.world.disks) == [volume.resource_id]


def test_a_price_above_the_limit_buys_nothing(shop: Shop) -> None:
    volume = shop.volume()
    with pytest.raises(Failed, match=r"above 13.50 USD/h \(from 13.53 USD/h\)") as caught:
        shop.node(volume, maxUsdPerHour=13.5)
    assert (caught.value.kept_id, shop.orders()) == ("", 0)


@contextmanager
def machine() -> Iterator[dict[str, Any]]:
    """A machine one has, which lets the owner of the tests' key in; yields the account that names it."""
    private, public = keys.host_key(inputs.PRIVATE_KEY, "a machine of one's own")
    door = Door(private, keys.public_key(inputs.PRIVATE_KEY))
    try:
        yield {
            "kind": "ssh",
            "host": "127.0.0.1",
            "port": door.port,
            "user": "admin",
            "host_public_key": f"{public} root@machine",
            "device": "/dev/vdb",
            "size_gib": 600,
        }
    finally:
        door.close()


def taken(engine: Engine, account: dict[str, Any]) -> tuple[Existing, Existing]:
    volume = engine.create("Volume", inputs.volume(Path(), 600) | {"account": account})
    asked = inputs.node(Path(), volume.resource_id, "8x-h100-sxm5") | {"account": account}
    return volume, engine.create("Node", asked)


def test_a_machine_one_has_is_taken_with_its_own_host_key_and_never_touched(engine: Engine) -> None:
    with machine() as account:
        volume, node = taken(engine, account)
        assert (volume.resource_id, node.outputs["volumeDevice"]) == ("/dev/vdb", "/dev/vdb")
        assert node.outputs["sshHostPublicKey"] == account["host_public_key"]
        assert node.outputs["ready"] is True
        assert engine.read(node) == node
        engine.delete(node)
        engine.delete(volume)
        assert taken(engine, account)[1] == node


def test_a_machine_that_does_not_answer_is_kept(engine: Engine) -> None:
    with machine() as account:
        _, node = taken(engine, account)
    assert engine.read(node) == node


def test_another_address_of_the_same_machine_is_gone_on_with(engine: Engine) -> None:
    with machine() as account:
        _, node = taken(engine, account)
    with machine() as moved:
        after = engine.update(node, dict(node.inputs) | {"account": moved})
    assert after.outputs["identity"] == node.outputs["identity"]
    assert after.outputs["sshPort"] == moved["port"]
