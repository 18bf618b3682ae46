"""One stack over a simulated cloud, as tests bring it up and tear it down, and what must hold of it at any time."""

from threading import Event
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from nodestack.clouds.base import Cloud, Node, NodeRequest, Progress, Volume, VolumeRequest
from nodestack.clouds.simulated.world import World
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.pace import Pace
from tests.clouds.spheron.bench import QUERY, Spheron

QUICK = Pace(timeout_s=0.4, poll_s=0.01)
WISH = Wish(query=QUERY)


class Simulated(Protocol):
    """An account with a client before it."""

    @property
    def cloud(self) -> Cloud: ...

    @property
    def world(self) -> World: ...


Sim = TypeVar("Sim", bound=Simulated)


class StackAt(Generic[Sim]):
    """A volume `weights` and a node `web`.

    Attributes:
        sim: The account they are in.
        said: Lines of progress.
        patience_s: Seconds that a boot or a deletion may take.
        cancelled: Ends whatever waits.
    """

    def __init__(self, sim: Sim) -> None:
        # Nobody counts requests here. A cloud tells its pace, it is not told.
        sim.cloud.poll_s = 0.01  # type: ignore[misc]
        self.sim = sim
        self.said: list[str] = []
        self.patience_s = 1.0
        self.cancelled = Event()

    def volume(self, wish: Wish | None = WISH) -> Volume:
        return volumes.ensure(
            self.sim.cloud,
            VolumeRequest(name="weights", size_gib=10),
            progress=self.tell,
            cancelled=self.cancelled,
            wish=wish,
            settle=QUICK,
        )

    def node(self, volume: Volume, wish: Wish = WISH) -> Node:
        return nodes.ensure(
            self.sim.cloud,
            NodeRequest(
                name="web",
                shape="8x-h100-sxm5",
                volume_id=volume.volume_id,
                ssh_public_key="ssh-ed25519 AAAA",
                ssh_host_private_key=SecretStr("k"),
            ),
            wait=self.wait,
            known=self.known,
            progress=self.tell,
            cancelled=self.cancelled,
            boot=Pace(timeout_s=self.patience_s, poll_s=0.01),
            wish=wish,
            settle=QUICK,
        )

    def tell(self, line: str) -> None:
        """Hear a line of progress."""
        self.said.append(line)

    def known(self, node: Node, ordered: bool) -> None:
        """Hear of a node as soon as it exists."""

    def wait(self, node: Node, progress: Progress, cancelled: Event) -> None:
        """Take a node for reached."""
        reachable(node, progress, cancelled)

    def up(self, wish: Wish = WISH) -> Node:
        return self.node(self.volume(wish), wish)

    def down(self, node_id: str, patience_s: float | None = None) -> None:
        pace = Pace(timeout_s=patience_s or self.patience_s, poll_s=0.01)
        nodes.delete_until_gone(self.sim.cloud, node_id, progress=self.tell, cancelled=self.cancelled, pace=pace)

    def purge(self, volume_id: str) -> None:
        volumes.delete_until_gone(
            self.sim.cloud,
            volume_id,
            progress=self.tell,
            cancelled=self.cancelled,
            pace=Pace(timeout_s=self.patience_s, poll_s=0.01),
        )

    def require_one(self) -> None:
        """Assert that there is one node with the volume, never were two at once, and that no volume was lost."""
        self.require_never_two()
        assert self.sim.world.report().alive == ("web",)
        (machine,) = self.sim.world.living()
        held = [(disk.name, disk.attached_to) for disk in self.sim.world.disks.values() if is_weights(disk.name)]
        assert held == [("weights", machine.machine_id)]

    def require_never_two(self) -> None:
        """Assert that there never were two nodes or volumes of one name, and that no volume was lost."""
        report = self.sim.world.report()
        assert report.most_alive.get("web", 0) <= 1
        assert report.volumes.count("weights") <= 1
        assert [name for name in report.volumes_deleted if is_weights(name)] == []


class Stack(StackAt[Spheron]):
    """A stack at Spheron."""


def is_weights(volume_name: str) -> bool:
    """Return whether a volume is the stack's own, no neighbour's, and no boot disk, which goes with its node."""
    return volume_name == "weights"


def reachable(node: Node, progress: Progress, cancelled: Event) -> None:
    assert node.address
