"""A simulated Verda on the loopback, and the real client before it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeRequest, Offer, OfferQuery, VerdaAccount, Volume, VolumeRequest
from nodestack.clouds.http import Patience
from nodestack.clouds.simulated import verda
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World
from nodestack.clouds.verda.client import VerdaClient
from nodestack.clouds.verda.cloud import VerdaCloud

SECRET = "the-client-secret"  # noqa: S105 - of a cloud that ends with the test
HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-host-key\n-----END OPENSSH PRIVATE KEY-----"
PATIENCE = Patience(timeout_s=5, attempts=3, delay_s=0.01)


@dataclass
class Shop:
    """One simulated Verda with a client.

    Attributes:
        project: What there is behind the API.
        faults: What goes wrong, and the record of what was asked.
        account: Where it is.
        cloud: The real client.
        told: Lines of progress.
    """

    project: verda.Project
    faults: Faults
    account: VerdaAccount
    cloud: VerdaCloud
    told: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.project.world

    def offer(self, market: str = "on_demand", region: str = "FIN-01") -> Offer:
        query = OfferQuery.model_validate(
            {"gpu": "H100", "gpu_count": 8, "sxm": True, "market": market, "region": region}
        )
        return self.cloud.offers(query)[0]

    def volume(self, name: str = "demo-weights", region: str = "FIN-01") -> Volume:
        return self.cloud.create_volume(VolumeRequest(name=name, size_gib=1000, region=region))

    def request(self, volume: Volume, market: str = "on_demand", **changes: object) -> NodeRequest:
        known: dict[str, object] = {
            "name": "demo-node",
            "shape": "8x-h100-sxm5",
            "volume_id": volume.volume_id,
            "ssh_public_key": "ssh-ed25519 AAAAclient",
            "ssh_host_private_key": SecretStr(HOST_KEY),
            "market": market,
            "offer": changes.get("offer") or self.offer(market),
        }
        return NodeRequest.model_validate(known | changes)

    def node(self, market: str = "on_demand", name: str = "demo-node") -> tuple[Node, Volume]:
        weights = name.replace("node", "weights")
        volume = self.cloud.find_volume(weights) or self.volume(weights)
        return self.cloud.create_node(self.request(volume, market, name=name), self.told.append), volume

    def asked(self, method: str, path: str) -> int:
        """Return how often something was asked for."""
        return sum(one.method == method and one.path == f"/v1{path}" for one in self.faults.asked)

    def strike(self, kind: Kind, method: str, path: str, **more: object) -> None:
        """Have the next such request go wrong."""
        self.faults.add(Fault.model_validate({"kind": kind, "method": method, "path": f"/v1{path}"} | more))


Open = Callable[..., Shop]


@pytest.fixture
def open_shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return what opens a simulated Verda with particular ways, to be closed at the end."""
    monkeypatch.setenv("VERDA_CLIENT_ID", "the-client")
    monkeypatch.setenv("VERDA_CLIENT_SECRET", SECRET)
    with ExitStack() as until_the_end:

        def opened(
            *, balance_usd: float = 1000.0, market: list[tuple[Offer, int]] | None = None, **ways: object
        ) -> Shop:
            world = World(market or verda.market(), balance_usd=balance_usd)
            project = verda.Project(world, "the-client", SECRET, **ways)  # type: ignore[arg-type]
            faults = Faults()
            base_url = until_the_end.enter_context(serve(verda.application(project, faults)))
            account = VerdaAccount(base_url=f"{base_url}/v1")
            client = VerdaClient(account, patience=PATIENCE, sleep=lambda _: None)
            return Shop(project, faults, account, VerdaCloud(account, client))

        yield opened


@pytest.fixture
def shop(open_shop: Open) -> Shop:
    """Return a simulated Verda with its usual ways."""
    return open_shop()
