"""The simulated cloud of a stack: started when needed, remembered when it ends, and gone when it holds nothing."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

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

STACK = "spheron-sim"
TEMPLATE = Path(__file__).parents[2] / "stacks" / "templates" / f"{STACK}.yaml"
VOLUME = VolumeRequest(name="weights", size_gib=1, provider="voltage-park", region="us-east-1")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    monkeypatch.setenv("SPHERON_API_KEY", "the user's own, for the real Spheron")
    checkout = Checkout(tmp_path / "a checkout")
    checkout.stack_file(STACK).parent.mkdir(parents=True)
    checkout.stack_file(STACK).write_text(simulation.with_port(TEMPLATE.read_text(encoding="utf-8")))
    yield checkout
    server = home(checkout).server()
    if server is not None:
        os.kill(server.pid, signal.SIGKILL)


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
    return cloud, cloud.create_volume(VOLUME)


def test_it_is_started_once_and_takes_its_own_key_only(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    base_url = simulation.start(checkout, STACK)
    first = home(checkout).server()
    assert simulation.start(checkout, STACK) == base_url
    assert first is not None and home(checkout).server() == first and first.base_url == base_url
    key_file = home(checkout).directory / "api_key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert simulation.credentials(checkout, STACK) == {"SPHERON_SIM_API_KEY": key_file.read_text()}
    arguments = Path(f"/proc/{first.pid}/cmdline").read_bytes() + Path(f"/proc/{first.pid}/environ").read_bytes()
    assert key_file.read_bytes() not in arguments and b"the user's own" not in arguments
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
    assert cloud.find_volume(VOLUME.name) == volume
    assert len(list((home(checkout).machines / "volumes").glob("*.img"))) == 1


def test_it_goes_on_while_it_holds_something_and_then_nothing_of_it_is_left(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, volume = with_a_volume(checkout, monkeypatch)
    assert "it holds weights" in simulation.end_if_empty(checkout, STACK)[0]
    assert not simulation.is_ended(checkout, STACK) and len(holdings.accounts(checkout, [STACK])) == 1
    assert cloud.find_volume(VOLUME.name) == volume
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
    with socket.create_server(("127.0.0.1", int(account.base_url.rpartition(":")[2]))):
        assert simulation.start(checkout, STACK) == account.base_url, "a cloud that the user runs is the user's"
        assert simulation.credentials(checkout, STACK) == {}
        home(checkout).directory.mkdir(parents=True)
        with pytest.raises(NodestackError, match="is taken by another program"):
            simulation.start(checkout, STACK)


@pytest.mark.parametrize(
    "cloud", [{"kind": "local"}, {"kind": "spheron"}, {"kind": "verda", "base_url": "http://127.0.0.1:1"}]
)
def test_a_stack_of_another_cloud_has_none(checkout: Checkout, cloud: dict[str, str]) -> None:
    checkout.stack_file(STACK).write_text(yaml.safe_dump({"config": {"nodestack:cloud": cloud}}))
    assert simulation.start(checkout, STACK) == ""
    assert simulation.credentials(checkout, STACK) == {}
    assert not checkout.state.exists()


def test_each_stack_file_gets_a_port_that_is_free() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    made = {yaml.safe_load(simulation.with_port(text))["config"]["nodestack:cloud"]["base_url"] for _ in range(5)}
    assert len(made) > 1
    assert simulation.OPEN_PORT not in made
