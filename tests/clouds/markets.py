"""A simulated account of each cloud, with the requests that a stack's life is made of by what they are for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from nodestack.clouds.base import Cloud, SpheronAccount, VerdaAccount
from nodestack.clouds.http import Patience
from nodestack.clouds.simulated import market, spheron, verda
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.machines import Machines, MemoryMachines
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World
from nodestack.clouds.spheron import SpheronCloud
from nodestack.clouds.verda.client import VerdaClient
from nodestack.clouds.verda.cloud import VerdaCloud
from tests.clouds.answering import AnsweringMachines, Door
from tests.clouds.spheron.bench import IMPATIENT

Asked: TypeAlias = tuple[str, str]
"""Method of a request, and an expression that its path matches."""

SPHERON_REQUESTS: dict[str, Asked] = {
    "asking for offers": ("GET", "/api/gpu-offers"),
    "asking for the balance": ("GET", "/api/balance"),
    "listing volumes": ("GET", "/api/volumes"),
    "making the volume": ("POST", "/api/volumes"),
    "reading the volume": ("GET", "/api/volumes/.*"),
    "attaching the volume": ("POST", "/api/volumes/.*/attach"),
    "listing nodes": ("GET", "/api/deployments"),
    "ordering the node": ("POST", "/api/deployments"),
    "reading the node": ("GET", "/api/deployments/.*"),
    "deleting the node": ("DELETE", "/api/deployments/.*"),
    "deleting the volume": ("DELETE", "/api/volumes/.*"),
}
VERDA_REQUESTS: dict[str, Asked] = {
    "signing in": ("POST", "/v1/oauth2/token"),
    "asking for offers": ("GET", "/v1/instance-types"),
    "asking for stock": ("GET", "/v1/instance-availability"),
    "asking for the balance": ("GET", "/v1/balance"),
    "listing volumes": ("GET", "/v1/volumes"),
    "making the volume": ("POST", "/v1/volumes"),
    "reading the volume": ("GET", "/v1/volumes/.*"),
    "listing nodes": ("GET", "/v1/instances"),
    "listing scripts": ("GET", "/v1/scripts"),
    "making the script": ("POST", "/v1/scripts"),
    "listing keys": ("GET", "/v1/sshkeys"),
    "making the key": ("POST", "/v1/sshkeys"),
    "ordering the node": ("POST", "/v1/instances"),
    "reading the node": ("GET", "/v1/instances/.*"),
    "deleting the node": ("PUT", "/v1/instances"),
    "deleting the volume": ("PUT", "/v1/volumes"),
}
REQUESTS = {"spheron": SPHERON_REQUESTS, "verda": VERDA_REQUESTS}

STEADY = Patience(timeout_s=10, attempts=3, delay_s=0.01, longest_wait_s=1.0)
"""As little patience as may be on a busy machine: what is merely slow must not pass for lost."""

CLIENT_ID, CLIENT_SECRET = "the-client", "the-client-secret"
_SSH_PORT = 22
_BLOCK = "127.78.0"
_WITH_EFFECT = {kind.name for kind in Kind if "after the effect" in kind.value}
_TAKEN = range(200, 300)


@dataclass
class Market:
    """An account of a simulated cloud, and the client before it.

    Attributes:
        kind: Whose it is.
        account: How a stack names it.
        cloud: The real client, which does not ask often.
        patient: The real client as it is.
        world: What the account holds.
        faults: What goes wrong, and what was asked.
        keys: Environment variables with its credentials.
        project: What of it is Verda's alone.
    """

    kind: str
    account: dict[str, Any]
    cloud: Cloud
    patient: Cloud
    world: World
    faults: Faults
    keys: dict[str, str]
    project: verda.Project | None = None

    def fail(self, kind: Kind, request: str, nth: int = 1, times: int = 1) -> None:
        """Have a request go wrong."""
        method, path = REQUESTS[self.kind][request]
        self.faults.add(Fault(kind=kind, method=method, path=path, nth=nth, times=times, hang_s=1.0))

    def count(self, request: str) -> int:
        """Return how many such requests came."""
        return sum((asked.method, asked.path) == REQUESTS[self.kind][request] for asked in self.faults.asked)

    def bought(self, request: str) -> int:
        """Return how many of these requests had their effect, as far as their answers and faults tell."""
        return sum(
            asked.fault in _WITH_EFFECT if asked.fault else asked.status in _TAKEN
            for asked in self.faults.asked
            if (asked.method, asked.path) == REQUESTS[self.kind][request]
        )

    def volumes(self) -> list[str]:
        """Return the ids of the volumes that hold weights; Verda's nodes have a boot disk each besides."""
        return [disk.disk_id for disk in self.world.disks.values() if not disk.name.endswith("-os")]


@contextmanager
def at_spheron(machines: Machines, patience: Patience) -> Iterator[Market]:
    """Yield a new team of Spheron, whose lists come in pages of two."""
    world, faults = World(market.standard(), machines), Faults()
    world.rules = world.rules.model_copy(update={"page_size": 2, "pages": True})
    with serve(spheron.app(world, faults)) as base_url:
        account = SpheronAccount(base_url=base_url)
        cloud, patient = SpheronCloud(account, patience), SpheronCloud(account)
        keys = {"SPHERON_API_KEY": spheron.API_KEY}
        yield Market("spheron", {"kind": "spheron", "base_url": base_url}, cloud, patient, world, faults, keys)
        world.close()


@contextmanager
def at_verda(machines: Machines, patience: Patience) -> Iterator[Market]:
    """Yield a new project of Verda."""
    world, faults = World(verda.market(), machines), Faults()
    project = verda.Project(world, CLIENT_ID, CLIENT_SECRET)
    with serve(verda.application(project, faults)) as base_url:
        account = VerdaAccount(base_url=f"{base_url}/v1")
        cloud = VerdaCloud(account, VerdaClient(account, patience=patience, sleep=lambda _: None))
        keys = {"VERDA_CLIENT_ID": CLIENT_ID, "VERDA_CLIENT_SECRET": CLIENT_SECRET}
        told = {"kind": "verda", "base_url": account.base_url}
        yield Market("verda", told, cloud, VerdaCloud(account), world, faults, keys, project)
        world.close()


_OPENED: dict[str, Callable[[Machines, Patience], AbstractContextManager[Market]]] = {
    "spheron": at_spheron,
    "verda": at_verda,
}


@contextmanager
def open_market(kind: str, *, answering: bool = False, hasty: bool = False) -> Iterator[Market]:
    """Yield a new account of a cloud, whose credentials the environment has meanwhile.

    Args:
        kind: Whose.
        answering: Whether its machines take SSH; else they are words.
        hasty: Whether its client gives up on an answer that hangs, sooner than the simulation does.
    """
    machines: Machines = MemoryMachines()
    if answering:
        machines = OnPort22() if kind == "verda" else AnsweringMachines()
    with _OPENED[kind](machines, IMPATIENT if hasty else STEADY) as opened, pytest.MonkeyPatch.context() as environment:
        for name, value in opened.keys.items():
            environment.setenv(name, value)
        yield opened


class OnPort22(AnsweringMachines):
    """Machines with an address of the loopback each: Verda's API names no port, SSH is on the usual one."""

    def open(self, host_key: str, public_line: str) -> Door:
        for last in range(1, 255):
            try:
                return Door(host_key, public_line, (f"{_BLOCK}.{last}", _SSH_PORT))
            except OSError:
                continue
        raise OSError(f"every address of {_BLOCK}.0/24 has its port {_SSH_PORT} taken")
