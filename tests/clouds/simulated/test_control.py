"""Faults strike the request they are set for, and everything can be done and read from outside."""

from collections.abc import Iterator

import httpx
import pytest

from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.machines import Order
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World

HEADERS = {"Authorization": f"Bearer {spheron.API_KEY}", "User-Agent": "tests"}


class Outside:
    """A simulated cloud as its user and its tester see it, both over HTTP."""

    def __init__(self, base_url: str, world: World) -> None:
        self.base_url = base_url
        self.world = world

    def api(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.base_url}/api{path}", headers=HEADERS, timeout=5)

    def control(self, method: str, path: str, body: object = None) -> httpx.Response:
        return httpx.request(method, f"{self.base_url}/_control{path}", json=body)


@pytest.fixture
def outside() -> Iterator[Outside]:
    world = World(market.standard())
    with serve(spheron.app(world)) as base_url:
        yield Outside(base_url, world)


def test_a_fault_strikes_the_nth_request_of_its_path_and_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault(kind=Kind.ERROR_BEFORE, method="GET", path="/api/volumes", nth=2, times=2))
    assert faults.strike("POST", "/api/volumes") is None
    assert faults.strike("GET", "/api/volumes/1") is None
    struck = [faults.strike("GET", "/api/volumes") is not None for _ in range(4)]
    assert struck == [False, True, True, False]


def test_faults_are_set_and_taken_back_from_outside(outside: Outside) -> None:
    outside.control("POST", "/faults", [{"kind": Kind.ERROR_BEFORE.value, "times": 99}])
    assert outside.api("/volumes").status_code == 500
    outside.control("DELETE", "/faults")
    assert outside.api("/volumes").status_code == 200
    asked = outside.control("GET", "/requests").json()
    assert [(one["path"], one["status"], one["fault"]) for one in asked] == [
        ("/api/volumes", 500, "ERROR_BEFORE"),
        ("/api/volumes", 200, ""),
    ]


def test_a_cut_connection_is_one_for_the_client(outside: Outside) -> None:
    outside.control("POST", "/faults", [{"kind": Kind.CUT_AFTER.value}])
    with pytest.raises(httpx.RemoteProtocolError):
        outside.api("/volumes")


def test_clock_rules_money_and_stock_are_moved_from_outside(outside: Outside) -> None:
    before = outside.control("GET", "/report").json()["now"]
    assert outside.control("POST", "/clock", {"advance_s": 86400}).json()["now"] > before
    assert outside.control("PATCH", "/rules", {"boot_s": 5}).json()["boot_s"] == 5
    assert outside.control("POST", "/balance", {"usd": -1000}).json()["balance_usd"] == 0
    outside.control("POST", "/stock", {"offer_id": "8x-h100-a", "count": 0})
    assert outside.world.stock[("8x-h100-a", "us-east-1", "on_demand")] == 0
    assert outside.world.stock[("8x-h100-b", "FIN-02", "on_demand")] == 2


@pytest.mark.parametrize(
    ("what", "status"), [("preempt", "terminated-provider"), ("stop", "stopped"), ("fail", "failed"), ("show", "odd")]
)
def test_a_machine_is_struck_by_its_name_from_outside(outside: Outside, what: str, status: str) -> None:
    machine = outside.world.order(Order(name="web", offer=outside.world.market[0]))
    struck = outside.control("POST", f"/machines/{what}", {"name": "web", "status": "odd"}).json()["struck"]
    assert struck == [machine.machine_id]
    assert outside.api(f"/deployments/{machine.machine_id}").json()["status"] == status
    assert outside.control("GET", "/events").json()[0]["what"] == "ordered"


def test_a_vanished_machine_is_not_even_known_any_more(outside: Outside) -> None:
    machine = outside.world.order(Order(name="web", offer=outside.world.market[0]))
    outside.control("POST", "/machines/vanish", {"name": "web"})
    assert outside.api(f"/deployments/{machine.machine_id}").status_code == 404


def test_the_control_needs_no_key_and_the_api_does(outside: Outside) -> None:
    assert httpx.get(f"{outside.base_url}/api/volumes", headers={"User-Agent": "tests"}).status_code == 401
    assert outside.control("GET", "/report").status_code == 200
