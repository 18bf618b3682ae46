"""A price is asked for once and within seconds; without a clear answer there is an error, never a guess."""

import time
from datetime import date

import pytest

from nodestack.clouds.base import LocalAccount, SpheronAccount
from nodestack.clouds.simulated.faults import Kind
from nodestack.errors import AmbiguousError, CloudError
from nodestack.lifecycle.choose import Wish
from nodestack.lifecycle.quote import quote
from tests.clouds.spheron.bench import QUERY, Spheron

TODAY = date(2026, 11, 22)
OFFERS = "/api/gpu-offers"


def account(sim: Spheron) -> SpheronAccount:
    return SpheronAccount(base_url=sim.base_url)


def test_it_is_the_price_of_the_offer_that_an_order_would_take(sim: Spheron) -> None:
    rate = quote(account(sim), Wish(query=QUERY), TODAY)
    assert (rate.usd_per_hour, rate.cloud, rate.date) == (17.60, "spheron", TODAY)
    assert rate.source == "spheron's own offers, the cheapest of 3: voltage-park in us-east-1"
    spot = Wish(query=QUERY.model_copy(update={"market": "spot"}))
    assert quote(account(sim), spot, TODAY).usd_per_hour == 8.40
    assert sim.faults.asked == [one for one in sim.faults.asked if (one.method, one.path) == ("GET", OFFERS)]


def test_where_nothing_fits_the_reason_is_told(sim: Spheron) -> None:
    with pytest.raises(CloudError, match=r"above 10.00 USD/h \(from 17.60 USD/h\)"):
        quote(account(sim), Wish(query=QUERY, max_usd_per_hour=10), TODAY)


def test_a_cloud_that_fails_is_asked_once(sim: Spheron) -> None:
    sim.fail(Kind.ERROR_BEFORE, "GET", OFFERS, times=9)
    with pytest.raises(AmbiguousError):
        quote(account(sim), Wish(query=QUERY), TODAY)
    assert sim.count("GET", OFFERS) == 1


def test_a_cloud_that_does_not_answer_is_not_waited_for(sim: Spheron) -> None:
    sim.fail(Kind.TIMEOUT_BEFORE, "GET", OFFERS)
    begun = time.monotonic()
    with pytest.raises(AmbiguousError):
        quote(account(sim), Wish(query=QUERY), TODAY, timeout_s=0.2)
    assert time.monotonic() - begun < 0.9


def test_many_slow_pages_are_not_waited_for_either(sim: Spheron, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.world.rules = sim.world.rules.model_copy(update={"page_size": 1})
    monkeypatch.setattr("nodestack.clouds.spheron.client.SpheronClient.offer_groups", lambda *_: time.sleep(2))
    with pytest.raises(AmbiguousError, match=r"spheron did not list its offers within 0.1 s"):
        quote(account(sim), Wish(query=QUERY), TODAY, timeout_s=0.1)


def test_without_a_key_nobody_is_asked(sim: Spheron, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPHERON_API_KEY")
    with pytest.raises(CloudError, match="SPHERON_API_KEY is not set"):
        quote(account(sim), Wish(query=QUERY), TODAY)
    assert sim.faults.asked == []


def test_on_this_machine_nothing_is_for_sale() -> None:
    account = LocalAccount(directory="/nowhere")
    with pytest.raises(CloudError):
        quote(account, Wish(query=QUERY.model_copy(update={"gpu_count": 3})), TODAY)
