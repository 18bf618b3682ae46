"""Signing in to Verda, its offers and its balance; and that no secret leaves the requests that need it."""

import pytest
from pydantic import TypeAdapter

from nodestack.clouds import open_account
from nodestack.clouds.base import Offer, OfferQuery, VerdaAccount
from nodestack.clouds.simulated import verda
from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.verda import api
from nodestack.clouds.verda.client import VerdaClient
from nodestack.errors import AmbiguousError, CloudError
from tests.clouds.verda.conftest import PATIENCE, SECRET, Open, Shop

H100 = OfferQuery(gpu="H100", gpu_count=8, sxm=True)


def test_a_token_is_used_until_it_is_used_up(open_shop: Open) -> None:
    shop = open_shop(token_s=600)
    now = [0.0]
    client = VerdaClient(shop.account, patience=PATIENCE, clock=lambda: now[0])
    for _ in range(5):
        client.balance()
    now[0] = 539
    client.balance()
    assert shop.asked("POST", "/oauth2/token") == 1
    # A minute before the end, so that no request is under way with a token that ends.
    now[0] = 541
    client.balance()
    client.instances()
    assert shop.asked("POST", "/oauth2/token") == 2


def test_a_token_that_is_withdrawn_is_replaced_and_the_order_is_made_once(shop: Shop) -> None:
    request = shop.request(shop.volume())
    shop.project.tokens.clear()
    shop.cloud.create_node(request, shop.told.append)
    assert len(shop.cloud.list_nodes()) == 1
    assert shop.asked("POST", "/oauth2/token") == 2
    assert shop.world.report().orders == {"demo-node": 1}


def test_a_token_that_is_never_accepted_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.project, "token_s", 0.000001)
    with pytest.raises(CloudError, match="does not accept the token it gave out"):
        shop.cloud.preflight()


def test_wrong_credentials_name_the_variables_and_not_the_secret(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDA_CLIENT_SECRET", "not-the-secret")
    with pytest.raises(CloudError, match="VERDA_CLIENT_ID and VERDA_CLIENT_SECRET") as refused:
        shop.cloud.preflight()
    assert "not-the-secret" not in str(refused.value)
    assert not isinstance(refused.value, AmbiguousError)


def test_missing_credentials_name_the_variable(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VERDA_CLIENT_SECRET")
    with pytest.raises(CloudError, match="VERDA_CLIENT_SECRET is not set"):
        open_account(shop.account).preflight()
    assert shop.faults.asked == []


def test_signing_in_survives_what_passes(shop: Shop) -> None:
    shop.strike(Kind.ERROR_BEFORE, "POST", "/oauth2/token", times=2)
    shop.cloud.preflight()


def test_no_secret_is_shown_by_client_account_or_token(shop: Shop) -> None:
    client = VerdaClient(shop.account)
    client.balance()
    shown = repr(vars(client)) + repr(shop.account) + shop.account.model_dump_json()
    assert SECRET not in shown
    assert not [token for token in shop.project.tokens if token in shown]


def test_plain_http_is_only_for_the_loopback() -> None:
    with pytest.raises(ValueError, match="https"):
        VerdaAccount(base_url="http://api.verda.com/v1")


def test_another_base_url_is_not_read_as_nothing_there(shop: Shop) -> None:
    wrong = VerdaAccount(base_url=shop.account.base_url.removesuffix("/v1") + "/v2")
    with pytest.raises(CloudError, match="check the base URL"):
        open_account(wrong).read_node("0" * 24)


def test_a_call_that_is_not_known_is_not_read_as_nothing_there(shop: Shop) -> None:
    client = VerdaClient(shop.account, patience=PATIENCE)
    client.balance()
    with pytest.raises(AmbiguousError, match="knows no such call"):
        client._find("/instance/0", TypeAdapter(api.Instance))


def test_an_id_cannot_lead_to_another_call(shop: Shop) -> None:
    with pytest.raises(CloudError, match="is no id"):
        VerdaClient(shop.account, patience=PATIENCE).instance("../balance")
    assert shop.faults.asked == []


@pytest.mark.parametrize("word", ["is_spot", "isSpot"])
def test_both_spellings_of_the_spot_filter_are_sent(open_shop: Open, word: str) -> None:
    shop = open_shop(spot_word=word)
    key = ("8H100.80S.176V", "FIN-01", "spot")
    shop.world.stock = {one: 0 if one != key else 1 for one in shop.world.stock}
    there = [offer.region for offer in shop.cloud.offers(H100.model_copy(update={"market": "spot"})) if offer.available]
    assert there == ["FIN-01"]
    assert not any(offer.available for offer in shop.cloud.offers(H100))


def test_prices_come_as_text_and_are_numbers_of_the_whole_node(shop: Shop) -> None:
    on_demand = shop.cloud.offers(H100)
    spot = shop.cloud.offers(H100.model_copy(update={"market": "spot"}))
    assert {offer.usd_per_hour for offer in on_demand} == {27.06}
    assert {offer.usd_per_hour for offer in spot} == {13.53}
    assert [offer.region for offer in on_demand] == ["FIN-01", "FIN-02", "FIN-03", "ICE-01"]
    assert {offer.gpu for offer in on_demand} == {"H100 SXM5"}
    assert on_demand[0].images == ("ubuntu-24.04-cuda-12.8-open", "ubuntu-24.04")


def test_a_region_narrows_the_offers(shop: Shop) -> None:
    assert [offer.region for offer in shop.cloud.offers(H100.model_copy(update={"region": "ICE-01"}))] == ["ICE-01"]


def _sold(name: str, gpu: str, board: str = "SXM5", count: int = 8) -> tuple[Offer, int]:
    offer = Offer(
        offer_id=name, provider="verda", region="FIN-01", gpu=gpu, gpu_count=count, interconnect=board, usd_per_hour=9
    )
    return offer, 1


def test_types_are_told_by_model_and_count_and_never_by_their_spelling(open_shop: Open) -> None:
    shop = open_shop(
        market=[
            _sold("8H100.80S.176V", "H100"),
            _sold("h100-sxm-x8", "H100"),
            _sold("8H200.141S.176V", "H200"),
            _sold("8GH200.96S", "GH200"),
            _sold("8H100.80P", "H100", board="PCIe"),
            _sold("8H100.80N", "H100", board=""),
            _sold("4H100.80S.176V", "H100", count=4),
            _sold("8H100.80S.176V.CC", "H100 CC"),
        ]
    )
    names = [offer.offer_id for offer in shop.cloud.offers(H100)]
    assert names == ["8H100.80S.176V@FIN-01/on_demand", "h100-sxm-x8@FIN-01/on_demand"]
    any_board = shop.cloud.offers(H100.model_copy(update={"sxm": False}))
    assert [offer.interconnect for offer in any_board] == ["SXM5", "SXM5", "PCIe", ""]
    assert [offer.gpu for offer in shop.cloud.offers(H100.model_copy(update={"gpu": "h200"}))] == ["H200 SXM5"]


def test_prices_in_another_currency_are_never_read_as_usd(open_shop: Open) -> None:
    shop = open_shop(currency="eur")
    with pytest.raises(CloudError, match="in eur"):
        shop.cloud.offers(H100)
    assert shop.cloud.balance() is None
    shop.cloud.preflight()


def test_the_balance_is_what_is_left(shop: Shop) -> None:
    left = shop.cloud.balance()
    assert left is not None
    assert left.usd == pytest.approx(1000)


@pytest.mark.parametrize("path", ["/instances", "/volumes", "/balance", "/instance-types"])
def test_what_cannot_be_read_is_never_taken_for_nothing(shop: Shop, path: str) -> None:
    shop.strike(Kind.GARBLED, "GET", path)
    ask = {"/instances": shop.cloud.list_nodes, "/volumes": shop.cloud.list_volumes, "/balance": shop.cloud.balance}
    with pytest.raises(AmbiguousError, match="cannot read"):
        ask[path]() if path in ask else shop.cloud.offers(H100)


def test_listings_pass_over_what_passes(shop: Shop) -> None:
    shop.node()
    shop.strike(Kind.TOO_MANY, "GET", "/instances")
    assert len(shop.cloud.list_nodes()) == 1
    shop.strike(Kind.ERROR_BEFORE, "GET", "/instances", times=2)
    assert len(shop.cloud.list_nodes()) == 1


def test_the_market_of_the_simulation_is_sold_in_both_ways() -> None:
    sold = {(offer.offer_id, offer.market) for offer, _ in verda.market()}
    assert {name for name, _ in sold} >= {"8H100.80S.176V", "4H200.141S.176V"}
    assert {market for _, market in sold} == {"on_demand", "spot"}
