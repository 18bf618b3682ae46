"""The real client and a simulated Spheron that it talks to over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeRequest, OfferQuery, SpheronAccount, Volume, VolumeRequest
from nodestack.clouds.http import Patience
from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Machine
from nodestack.clouds.simulated.world import World
from nodestack.clouds.spheron import SpheronCloud

QUERY = OfferQuery(gpu="H100", gpu_count=8, sxm=True)
IMPATIENT = Patience(timeout_s=0.5, attempts=3, delay_s=0.01, longest_wait_s=1.0)


class Spheron:
    """A simulated account, and what tests do in it.

    Attributes:
        cloud: The client.
        world: What it talks to.
        faults: What goes wrong.
    """

    def __init__(self, base_url: str, world: World, faults: Faults) -> None:
        self.base_url = base_url
        self.world = world
        self.faults = faults
        self.cloud = SpheronCloud(SpheronAccount(base_url=base_url), IMPATIENT)

    def fail(self, kind: Kind, method: str, path: str, nth: int = 1, times: int = 1) -> None:
        """Have a request go wrong."""
        self.faults.add(Fault(kind=kind, method=method, path=path, nth=nth, times=times, hang_s=1.0))

    def count(self, method: str, path: str) -> int:
        """Return how many such requests came."""
        return sum(1 for asked in self.faults.asked if (asked.method, asked.path) == (method, path))

    def volume(self, name: str = "weights", region: str = "us-east-1", provider: str = "voltage-park") -> Volume:
        return self.cloud.create_volume(VolumeRequest(name=name, size_gib=10, provider=provider, region=region))

    def request(self, name: str = "web", volume_id: str = "", query: OfferQuery = QUERY) -> NodeRequest:
        """Return a request for the first offer that matches."""
        return NodeRequest(
            name=name,
            shape="8x-h100-sxm5",
            volume_id=volume_id,
            ssh_public_key="ssh-ed25519 AAAA",
            ssh_host_private_key=SecretStr("the host's key"),
            offer=self.cloud.offers(query)[0],
        )

    def node(self, name: str = "web", volume_id: str = "") -> Node:
        """Order a node."""
        return self.cloud.create_node(self.request(name, volume_id), lambda line: None)

    def machine(self, node: Node) -> Machine:
        return self.world.machine(node.node_id)


@contextmanager
def spheron_account() -> Iterator[Spheron]:
    """Yield a new account; its key is the one that the environment must hold."""
    world, faults = World(market.standard()), Faults()
    with serve(spheron.app(world, faults)) as base_url:
        yield Spheron(base_url, world, faults)
