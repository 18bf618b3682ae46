"""Each thing that Spheron does, said or seen, has a test by its name."""

import httpx
import pytest

from nodestack.clouds import open_account
from nodestack.clouds.base import NodeStatus, OfferQuery, SpheronAccount
from nodestack.clouds.http import USER_AGENT, NotFound
from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.spheron import API_KEY
from nodestack.clouds.simulated.spheron_json import TEAM_ID
from nodestack.clouds.simulated.things import Rules
from nodestack.clouds.spheron import SpheronCloud
from nodestack.clouds.spheron.api import Deployment, OfferRow
from nodestack.errors import (
    AmbiguousError,
    CloudError,
    DuplicateName,
    MinimumRuntime,
    NameTaken,
    OutOfStock,
)
from tests.clouds.spheron.bench import IMPATIENT, QUERY, Spheron

DEPLOYMENTS, VOLUMES = "/api/deployments", "/api/volumes"


def post(sim: Spheron, body: dict[str, object], agent: str = USER_AGENT) -> httpx.Response:
    headers = {"Authorization": f"Bearer {API_KEY}", "User-Agent": agent}
    return httpx.post(f"{sim.base_url}{DEPLOYMENTS}", json=body, headers=headers)


def test_a_librarys_own_user_agent_is_shut_out_and_ours_is_not(sim: Spheron) -> None:
    assert post(sim, {}, "python-httpx/0.28").status_code == 403
    sim.cloud.preflight()


def test_team_id_is_required_to_order_and_is_sent(sim: Spheron) -> None:
    assert post(sim, {"name": "web"}).json() == {"error": "Team ID is required for authenticated deployments"}
    assert sim.cloud.find_node("web") is None
    assert sim.node().name == "web"


def test_a_name_has_at_most_50_characters(sim: Spheron) -> None:
    assert "50" in post(sim, {"name": "x" * 51, "teamId": TEAM_ID}).json()["error"]
    assert sim.node("x" * 50).name == "x" * 50


def test_not_enough_stock_is_told_apart_though_the_list_says_available(sim: Spheron) -> None:
    for key in sim.world.stock:
        sim.world.stock[key] = 0
    assert sim.request().offer is not None
    with pytest.raises(OutOfStock, match="Not Enough Stock"):
        sim.node()
    assert sim.world.report().orders == {}


def test_too_many_requests_wait_as_long_as_asked_and_only_then_a_post_is_repeated(sim: Spheron) -> None:
    sim.fail(Kind.TOO_MANY, "POST", DEPLOYMENTS)
    assert sim.node().status is NodeStatus.BOOTING
    assert sim.count("POST", DEPLOYMENTS) == 2
    assert sim.world.report().orders == {"web": 1}


def test_too_many_requests_to_wait_for_is_a_refusal_without_effect(sim: Spheron) -> None:
    sim.fail(Kind.TOO_MANY, "POST", DEPLOYMENTS, times=9)
    with pytest.raises(CloudError, match=r"429: Too many requests.*run again later") as refused:
        sim.node()
    assert not isinstance(refused.value, AmbiguousError)
    assert sim.count("POST", DEPLOYMENTS) == IMPATIENT.attempts


@pytest.mark.parametrize("kind", [Kind.TIMEOUT_AFTER, Kind.CUT_AFTER, Kind.ERROR_AFTER, Kind.GARBLED])
def test_an_order_whose_answer_is_lost_is_not_repeated_and_is_found_by_its_name(sim: Spheron, kind: Kind) -> None:
    sim.fail(kind, "POST", DEPLOYMENTS)
    with pytest.raises(AmbiguousError):
        sim.node()
    found = sim.cloud.find_node("web")
    assert found is not None
    assert sim.count("POST", DEPLOYMENTS) == 1
    assert sim.world.report().alive == ("web",)


@pytest.mark.parametrize("kind", [Kind.TIMEOUT_BEFORE, Kind.CUT_BEFORE, Kind.ERROR_BEFORE])
def test_an_order_that_never_arrived_is_not_repeated_either(sim: Spheron, kind: Kind) -> None:
    sim.fail(kind, "POST", DEPLOYMENTS)
    with pytest.raises(AmbiguousError):
        sim.node()
    assert (sim.count("POST", DEPLOYMENTS), sim.cloud.find_node("web")) == (1, None)


@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.ERROR_BEFORE, Kind.TOO_MANY])
def test_reading_and_listing_are_repeated(sim: Spheron, kind: Kind) -> None:
    node = sim.node()
    sim.fail(kind, "GET", f"{DEPLOYMENTS}.*", times=2)
    assert sim.cloud.read_node(node.node_id) is not None


@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.ERROR_BEFORE, Kind.TOO_MANY, Kind.GARBLED])
def test_a_list_that_cannot_be_read_is_not_taken_for_an_empty_one(sim: Spheron, kind: Kind) -> None:
    sim.node()
    sim.fail(kind, "GET", DEPLOYMENTS, times=99)
    with pytest.raises(AmbiguousError):
        sim.cloud.find_node("web")


def test_spot_rows_and_spot_prices_are_offers_of_the_spot_market(sim: Spheron) -> None:
    (spot,) = sim.cloud.offers(QUERY.model_copy(update={"market": "spot"}))
    assert (spot.offer_id, spot.usd_per_hour) == ("8x-h100-a::spot", 8.4)
    row = {"provider": "p", "offerId": "o::spot", "gpuCount": 8, "price": 9, "instanceType": "DEDICATED"}
    assert OfferRow.model_validate(row).is_spot
    ordered = sim.cloud.create_node(sim.request(query=QUERY.model_copy(update={"market": "spot"})), lambda line: None)
    assert (ordered.market, ordered.usd_per_hour) == ("spot", 8.4)


def test_offers_are_of_the_model_the_count_and_the_board_asked_for(sim: Spheron) -> None:
    found = {offer.offer_id for offer in sim.cloud.offers(QUERY)}
    assert found == {"8x-h100-a", "8x-h100-b", "8x-h100-c", "8x-h100-bare"}
    anything = sim.cloud.offers(QUERY.model_copy(update={"sxm": False}))
    assert {offer.offer_id for offer in anything} - found == {"8x-h100-pcie"}
    assert sim.cloud.offers(OfferQuery(gpu="H200", gpu_count=1, sxm=True)) == ()
    here = sim.cloud.offers(QUERY.model_copy(update={"region": "FIN-02"}))
    assert [offer.region for offer in here] == ["FIN-02"]


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ("preempt", (NodeStatus.TERMINATED, "preempted")),
        ("fail", (NodeStatus.TERMINATED, "failed")),
        ("delete", (NodeStatus.TERMINATED, "deleted")),
        ("stop", (NodeStatus.STOPPED, None)),
    ],
)
def test_each_end_is_told_by_its_status(sim: Spheron, act: str, expected: tuple[NodeStatus, str | None]) -> None:
    node = sim.node()
    getattr(sim.world, act)(node.node_id)
    seen = sim.cloud.read_node(node.node_id)
    assert seen is not None
    assert (seen.status, seen.ended_because) == expected
    found = sim.cloud.find_node("web")
    assert (found is None) == (expected[0] is NodeStatus.TERMINATED)


def test_an_unknown_status_raises_and_only_for_the_node_that_has_it(sim: Spheron) -> None:
    node, other = sim.node(), sim.node("other")
    sim.machine(other).shown_status = "hibernating"
    assert sim.cloud.find_node("web") is not None
    with pytest.raises(AmbiguousError, match=r"status 'hibernating'.*is not guessed"):
        sim.cloud.find_node("other")
    with pytest.raises(AmbiguousError):
        sim.cloud.list_nodes()
    sim.machine(node).shown_status = "hibernating"
    with pytest.raises(AmbiguousError):
        sim.cloud.read_node(node.node_id)


def test_an_address_while_it_is_deployed_does_not_make_it_running(sim: Spheron) -> None:
    sim.world.rules = Rules(boot_s=600)
    node = sim.node()
    seen = sim.cloud.read_node(node.node_id)
    assert seen is not None
    assert (seen.status, seen.address) == (NodeStatus.BOOTING, "192.0.2.1")
    sim.world.advance(601)
    later = sim.cloud.read_node(node.node_id)
    assert later is not None
    assert later.status is NodeStatus.RUNNING


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("ubuntu", 22)),
        ({"user": "user"}, ("user", 22)),
        ({"sshCommand": "ssh user@192.0.2.7"}, ("user", 22)),
        ({"sshCommand": "ssh -p 2201 root@host.example"}, ("root", 2201)),
        ({"sshCommand": "ssh root@host.example -p 2201"}, ("root", 2201)),
        ({"sshCommand": None, "sshPort": None, "user": None}, ("ubuntu", 22)),
        ({"sshCommand": "ssh root@h", "user": "user", "sshPort": 2022}, ("user", 2022)),
    ],
)
def test_who_logs_in_and_where_is_told_in_one_of_several_ways(
    told: dict[str, object], expected: tuple[str, int]
) -> None:
    deployment = Deployment.model_validate({"id": "d", "status": "running", **told})
    assert (deployment.login, deployment.port) == expected


def test_too_young_a_node_is_not_deleted_and_the_rest_of_its_time_is_told(sim: Spheron) -> None:
    sim.world.rules = Rules(minimum_runtime_minutes=20)
    node = sim.node()
    with pytest.raises(MinimumRuntime, match="after 20 minutes, 20 remain") as young:
        sim.cloud.delete_node(node.node_id)
    assert young.value.remaining_minutes == 20
    sim.world.advance(20 * 60)
    sim.cloud.delete_node(node.node_id)
    assert sim.world.report().alive == ()


def test_what_was_terminated_already_or_never_was_is_deleted_without_error(sim: Spheron) -> None:
    node = sim.node()
    for _ in range(2):
        sim.cloud.delete_node(node.node_id)
    sim.world.vanish(sim.node().node_id)
    sim.cloud.delete_node("no-such-id")
    assert sim.cloud.read_node("no-such-id") is None


@pytest.mark.parametrize("pages", [True, False])
def test_lists_are_read_to_the_last_page_whether_they_are_arrays_or_pages(sim: Spheron, pages: bool) -> None:
    sim.world.rules = Rules(page_size=2, pages=pages)
    for key in sim.world.stock:
        sim.world.stock[key] = 9
    for number in range(5):
        sim.volume(f"v-{number}")
        sim.node(f"n-{number}")
    assert {node.name for node in sim.cloud.list_nodes()} == {f"n-{number}" for number in range(5)}
    assert {volume.name for volume in sim.cloud.list_volumes()} == {f"v-{number}" for number in range(5)}
    last = sim.cloud.find_node("n-4")
    assert last is not None
    assert sim.cloud.find_volume("v-4") is not None


def test_a_page_that_cannot_be_had_spoils_the_list(sim: Spheron) -> None:
    sim.world.rules = Rules(page_size=1)
    for number in range(3):
        sim.volume(f"v-{number}")
    sim.fail(Kind.ERROR_BEFORE, "GET", VOLUMES, nth=2, times=99)
    with pytest.raises(AmbiguousError):
        sim.cloud.find_volume("v-2")


def test_names_are_exact(sim: Spheron) -> None:
    sim.node("web-2")
    sim.volume("weights-2")
    assert sim.cloud.find_node("web") is None
    assert sim.cloud.find_volume("weights") is None


def test_two_of_one_name_are_told_by_their_ids_and_neither_is_taken(sim: Spheron) -> None:
    first = sim.node()
    sim.machine(first).order = sim.machine(first).order.model_copy(update={"name": "hidden"})
    second = sim.node()
    sim.machine(first).order = sim.machine(first).order.model_copy(update={"name": "web"})
    with pytest.raises(DuplicateName, match=rf"{first.node_id} and {second.node_id}"):
        sim.cloud.find_node("web")


def test_a_taken_name_is_told_apart(sim: Spheron) -> None:
    sim.node()
    with pytest.raises(NameTaken):
        sim.node()
    assert sim.world.report().orders == {"web": 1}


def test_the_host_key_goes_with_the_order_where_cloud_init_is_supported(sim: Spheron) -> None:
    with_it, without = sim.node("with"), sim.request("without")
    (bare,) = [offer for offer in sim.cloud.offers(QUERY) if offer.offer_id == "8x-h100-bare"]
    plain = sim.cloud.create_node(without.model_copy(update={"offer": bare}), lambda line: None)
    assert sim.machine(with_it).order.files["/etc/ssh/nodestack_host_key"] == "the host's key"
    assert sim.machine(plain).order.files == {}


def test_a_volume_that_is_gone_stops_the_order(sim: Spheron) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        sim.node(volume_id="no-such-volume")
    assert sim.world.report().orders == {}


def test_the_account_opens_as_its_cloud_and_asks_nothing(sim: Spheron) -> None:
    assert isinstance(open_account(SpheronAccount(base_url=sim.base_url)), SpheronCloud)
    assert sim.faults.asked == []
