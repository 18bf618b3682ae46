"""A deployment of a simulated cloud is a real machine: one logs in, it is preempted, and the volume outlives it."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr

from nodestack.clouds import open_account
from nodestack.clouds.accounts import key_variables
from nodestack.clouds.base import Cloud, Node, NodeRequest, OfferQuery, Progress, VolumeRequest
from nodestack.clouds.simulated.kinds import KINDS
from nodestack.clouds.simulated.local_machines import LocalMachines
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World
from nodestack.errors import ReachError
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.choose import Wish
from nodestack.provisioning import keys, reach

pytestmark = pytest.mark.node

WISH = Wish(query=OfferQuery(gpu="H100", gpu_count=8, sxm=True, market="spot"))
VOLUME = VolumeRequest(name="weights", size_gib=2)
BOOT_TIMEOUT_S = 120.0


class Stack:
    """One stack over a cloud whose machines are real."""

    def __init__(self, cloud: Cloud, world: World) -> None:
        self.cloud = cloud
        self.world = world
        self.key = keys.generate()
        self.said: list[str] = []

    def up(self) -> Node:
        volume = volumes.ensure(
            self.cloud,
            VOLUME,
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


@pytest.fixture(params=list(KINDS))
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    kind = KINDS[request.param]
    for name, variable in key_variables(kind.account).items():
        monkeypatch.setenv(variable, kind.keys[name])
    world = World(kind.market(), LocalMachines(tmp_path, kind.ssh_user))
    with serve(kind.open(world, kind.keys, None).app) as base_url:
        yield Stack(open_account(kind.account.model_copy(update={"base_url": f"{base_url}{kind.path}"})), world)
    world.close()
    assert list((tmp_path / "volumes").glob("*.img")) == []


def test_one_logs_in_with_the_orders_keys_and_a_preemption_kills_it_but_not_what_is_on_the_volume(stack: Stack) -> None:
    node = stack.up()
    assert stack.on(node, "id -un") == node.ssh_user
    assert stack.on(node, "sudo -n true && cloud-init status --wait").endswith("status: done")
    assert int(stack.on(node, "sudo -n blockdev --getsize64 /dev/vdb")) == VOLUME.size_gib << 30, "no scratch disk"
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
    assert (report.most_alive, report.alive) == ({"web": 1}, ("web",))
    assert "weights" in report.volumes and "weights" not in report.volumes_deleted

    nodes.delete_until_gone(stack.cloud, again.node_id, progress=stack.said.append, cancelled=Event())
    assert (stack.world.report().alive, stack.world.report().volumes) == ((), ("weights",))
