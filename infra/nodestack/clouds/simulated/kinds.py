"""The clouds that can be simulated, and what differs between them for whoever serves one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from nodestack.clouds.accounts import SpheronAccount, VerdaAccount
from nodestack.clouds.local import seed
from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated import market, spheron, verda
from nodestack.clouds.simulated.faults import Faults
from nodestack.clouds.simulated.kept_project import KeptProject
from nodestack.clouds.simulated.world import World
from nodestack.clouds.verda.api import SSH_USER as VERDA_USER

Keys = Mapping[str, str]


@dataclass(frozen=True)
class Served:
    """One account that can be served.

    Attributes:
        app: Its API and its control.
        keep_in: Has it go on with what a directory holds beside its world, and write that there from now on.
    """

    app: Starlette
    keep_in: Callable[[Path], None]


@dataclass(frozen=True)
class Kind:
    """What differs between the clouds.

    Attributes:
        account: Names the environment variables with its keys.
        path: What a base URL has after host and port.
        ssh_user: Who may log in at its machines.
        keys: Its keys where nobody says others, by what each is.
        market: What it sells, with how many there are of each.
        open: Makes an account of a world, of keys, and of what may go wrong.
    """

    account: SpheronAccount | VerdaAccount
    path: str
    ssh_user: str
    keys: Keys
    market: Callable[[], list[tuple[Offer, int]]]
    open: Callable[[World, Keys, Faults | None], Served]


def _spheron(world: World, keys: Keys, faults: Faults | None) -> Served:
    return Served(spheron.app(world, faults, keys["api_key"]), lambda directory: None)


def _verda(world: World, keys: Keys, faults: Faults | None) -> Served:
    project = KeptProject(world, keys["client_id"], keys["client_secret"])
    return Served(verda.application(project, faults), lambda directory: project.keep_in(directory / "project"))


KINDS = {
    "spheron": Kind(
        account=SpheronAccount(),
        path="",
        ssh_user=seed.SSH_USER,
        keys={"api_key": spheron.API_KEY},
        market=market.standard,
        open=_spheron,
    ),
    "verda": Kind(
        account=VerdaAccount(),
        path="/v1",
        ssh_user=VERDA_USER,
        keys={"client_id": verda.CLIENT_ID, "client_secret": verda.CLIENT_SECRET},
        market=verda.market,
        open=_verda,
    ),
}
