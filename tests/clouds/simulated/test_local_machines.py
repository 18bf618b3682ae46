"""A deployment of a simulated cloud is a real machine: one logs in, it is preempted, and the volume outlives it."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeRequest, OfferQuery, Progress, SpheronAccount, VolumeRequest
from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.local_machines import LocalMachines
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World
from nodestack.clouds.spheron import SpheronCloud
from nodestack.errors import ReachError
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.choose import Wish
from nodestack.provisioning import keys, reach

pytestmark = pytest.mark.node

WISH = Wish(query=OfferQuery(gpu="H100", gpu_count=8, sxm=True, market="spot"))
BOOT_TIMEOUT_S = 120.0


class Stack:
    """One stack over a cloud whose machines are real."""

    def __init__(self, cloud: SpheronCloud, world: World) -> None:
        self.cloud = cloud
        self.world = world
        self.key = keys.generate()
        self.said: list[str] = []

    def up(self) -> Node:
        volume = volumes.ensure(
            self.cloud,
            VolumeRequest(name="weights", size_gib=1),
            progress=self.said.append,
            cancelled=Event(),
            wish=WISH,
        )
        request = NodeRequest(
            name="web",
            shape="8x-h100-sxm5",
            volume_id=volume.volume_id,
            ssh_public_key=keys.public_key(self.key),
            ssh_host_private_key=SecretStr(keys.host_key(self.key, "web")[0]),
            market="spot",
        )
        return nodes.ensure(
            self.cloud, request, wait=self.wait, progress=self.said.append, cancelled=Event(), wish=WISH
        )

    def wait(self, node: Node, progress: Progress, cancelled: Event) -> None:
        reach.wait_for_node(self.connection(node), timeout_s=BOOT_TIMEOUT_S, progress=progress, cancelled=cancelled)

    def connection(self, node: Node) -> reach.Connection:
        return reach.Connection(
            address=node.address,
            port=node.ssh_port,
            user=node.ssh_user,
            host_public_key=keys.host_key(self.key, "web")[1],
            private_key=SecretStr(self.key),
        )

    def on(self, node: Node, command: str) -> str:
        return reach.run(self.connection(node), command, 60).strip()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("SPHERON_API_KEY", spheron.API_KEY)
    world = World(market.standard(), LocalMachines(tmp_path))
    with serve(spheron.app(world)) as base_url:
        yield Stack(SpheronCloud(SpheronAccount(base_url=base_url)), world)
    world.close()
    assert list((tmp_path / "volumes").glob("*.img")) == []


def test_one_logs_in_with_the_orders_keys_and_a_preemption_kills_it_but_not_what_is_on_the_volume(stack: Stack) -> None:
    node = stack.up()
    assert stack.on(node, "id -un") == node.ssh_user
    stack.on(node, "sudo -n mkfs.ext4 -q /dev/vdb && sudo -n mount /dev/vdb /mnt && sudo -n touch /mnt/kept && sync")
    stack.world.preempt(node.node_id)
    seen = stack.cloud.read_node(node.node_id)
    assert seen is not None
    assert seen.ended_because == "preempted"
    with pytest.raises(ReachError):
        stack.on(node, "true")

    again = stack.up()
    assert again.node_id != node.node_id
    assert stack.on(again, "sudo -n mount /dev/vdb /mnt && ls -A /mnt").split() == ["kept", "lost+found"]
    report = stack.world.report()
    assert (report.most_alive, report.alive, report.volumes_deleted) == ({"web": 1}, ("web",), ())

    nodes.delete_until_gone(stack.cloud, again.node_id, progress=stack.said.append, cancelled=Event())
    assert stack.world.report().alive == ()
