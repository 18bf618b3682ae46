"""The simulated cloud of a stack: started when needed, remembered when it ends, and gone when it holds nothing."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from nodestack.automation import holdings, simulation
from nodestack.automation.checkout import Checkout
from nodestack.clouds import open_account
from nodestack.clouds.base import Cloud, Volume, VolumeRequest
from nodestack.clouds.local.records import started_at
from nodestack.clouds.simulated.kept import Home
from nodestack.errors import NodestackError
from tests.e2e.project import processes

STACK = "a-simulated-one"
TEMPLATES = Path(__file__).parents[2] / "stacks" / "templates"
VOLUMES = {
    "spheron": VolumeRequest(name="weights", size_gib=1, provider="voltage-park", region="us-east-1"),
    "verda": VolumeRequest(name="weights", size_gib=1, provider="verda", region="FIN-01"),
}
VARIABLES = {
    "spheron": {"api_key": "SPHERON_SIM_API_KEY"},
    "verda": {"client_id": "VERDA_SIM_CLIENT_ID", "client_secret": "VERDA_SIM_CLIENT_SECRET"},
}


@pytest.fixture(params=list(VOLUMES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def checkout(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    for variable in VARIABLES[kind].values():
        monkeypatch.setenv(variable.replace("_SIM", ""), "the user's own, for the real cloud")
    checkout = Checkout(tmp_path / "a checkout")
    checkout.stack_file(STACK).parent.mkdir(parents=True)
    checkout.stack_file(STACK).write_text(simulation.with_port(template(kind)))
    yield checkout
    server = home(checkout).server()
    if server is not None:
        os.kill(server.pid, signal.SIGKILL)


def template(kind: str) -> str:
    return (TEMPLATES / f"{kind}-sim.yaml").read_text(encoding="utf-8")


def home(checkout: Checkout) -> Home:
    return Home(checkout.state / "simulated" / STACK)


def opened(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    for name, text in simulation.credentials(checkout, STACK).items():
        monkeypatch.setenv(name, text)
    account = simulation.account_of(checkout, STACK)
    assert account is not None
    return open_account(account)


def with_a_volume(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> tuple[Cloud, Volume]:
    simulation.start(checkout, STACK)
    cloud = opened(checkout, monkeypatch)
    account = simulation.account_of(checkout, STACK)
    assert account is not None
    volume = cloud.read_volume(cloud.create_volume(VOLUMES[account.kind]).volume_id)
    assert volume is not None
    return cloud, volume


def test_it_is_started_once_and_takes_its_own_keys_only(
    kind: str, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url = simulation.start(checkout, STACK)
    first = home(checkout).server()
    assert simulation.start(checkout, STACK) == base_url
    assert first is not None and home(checkout).server() == first and first.base_url == base_url
    given = simulation.credentials(checkout, STACK)
    assert sorted(given) == sorted(VARIABLES[kind].values())
    arguments = Path(f"/proc/{first.pid}/cmdline").read_bytes() + Path(f"/proc/{first.pid}/environ").read_bytes()
    for name, variable in VARIABLES[kind].items():
        key_file = home(checkout).directory / name
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert key_file.read_text() == given[variable]
        assert key_file.read_bytes() not in arguments
    assert b"the user's own" not in arguments
    opened(checkout, monkeypatch).preflight()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ended_is_started_again_and_no_volume_is_lost(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    cloud, volume = with_a_volume(checkout, monkeypatch)
    first = home(checkout).server()
    assert first is not None
    os.kill(first.pid, number)
    while started_at(first.pid) == first.start_ticks:
        os.sched_yield()
    assert home(checkout).server() is None
    simulation.start(checkout, STACK)
    assert home(checkout).server() != first
    assert cloud.find_volume(volume.name) == volume
    assert len(list((home(checkout).machines / "volumes").glob("*.img"))) == 1


def test_it_goes_on_while_it_holds_something_and_then_nothing_of_it_is_left(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, volume = with_a_volume(checkout, monkeypatch)
    assert "it holds weights" in simulation.end_if_empty(checkout, STACK)[0]
    assert not simulation.is_ended(checkout, STACK) and len(holdings.accounts(checkout, [STACK])) == 1
    assert cloud.find_volume(volume.name) == volume
    cloud.delete_volume(volume.volume_id)
    assert "was ended" in simulation.end_if_empty(checkout, STACK)[0]
    assert list(processes(str(checkout.root))) == []
    assert list(checkout.state.iterdir()) == []
    assert simulation.end_if_empty(checkout, STACK) == []
    assert simulation.credentials(checkout, STACK) == {}
    assert simulation.is_ended(checkout, STACK) and holdings.accounts(checkout, [STACK]) == []


def test_a_port_that_another_program_has_taken_is_not_mistaken_for_it(checkout: Checkout) -> None:
    account = simulation.account_of(checkout, STACK)
    assert account is not None
    with socket.create_server(("127.0.0.1", urlsplit(account.base_url).port)):
        assert account.base_url.startswith(simulation.start(checkout, STACK)), (
            "a cloud that the user runs is the user's"
        )
        assert simulation.credentials(checkout, STACK) == {}
        home(checkout).directory.mkdir(parents=True)
        with pytest.raises(NodestackError, match="is taken by another program"):
            simulation.start(checkout, STACK)


@pytest.mark.parametrize(
    "cloud", [{"kind": "local"}, {"kind": "spheron"}, {"kind": "verda", "base_url": "https://verda.example/v1"}]
)
def test_a_stack_of_another_cloud_has_none(tmp_path: Path, cloud: dict[str, str]) -> None:
    checkout = Checkout(tmp_path)
    checkout.stack_file(STACK).parent.mkdir(parents=True)
    checkout.stack_file(STACK).write_text(yaml.safe_dump({"config": {"nodestack:cloud": cloud}}))
    assert simulation.start(checkout, STACK) == ""
    assert simulation.credentials(checkout, STACK) == {}
    assert not checkout.state.exists()


def test_each_stack_file_gets_a_port_that_is_free(kind: str) -> None:
    text = template(kind)
    made = {yaml.safe_load(simulation.with_port(text))["config"]["nodestack:cloud"]["base_url"] for _ in range(5)}
    assert len(made) > 1
    assert simulation.OPEN_PORT not in made
