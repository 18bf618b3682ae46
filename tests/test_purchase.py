"""What a stack buys follows from its settings; what it costs says where the price is from."""

import json
from typing import Any

import pytest

from nodestack import purchase
from nodestack.catalog import load
from nodestack.clouds.base import SpheronAccount
from nodestack.clouds.simulated.spheron import API_KEY
from nodestack.components.purchase import Purchase
from nodestack.lifecycle.choose import query_of
from nodestack.planning.plan import make_plan
from nodestack.settings import Settings, parse
from tests.clouds.spheron.bench import spheron_account
from tests.stacks import gpu_config

CATALOG = load()


def settings(cloud: dict[str, Any], **node: Any) -> Settings:
    values = gpu_config(node=node) | {"nodestack:cloud": json.dumps(cloud)}
    return parse(values, CATALOG)


def test_a_clouds_offers_are_asked_for_the_shapes_gpus() -> None:
    bought = purchase.of(
        settings({"kind": "verda"}, shape="4x-h200-sxm5", market="spot", region="FIN-01", max_usd_per_hour=9), CATALOG
    )
    assert bought is not None
    assert bought.inputs() == {
        "wish": {"gpu": "H200", "gpuCount": 4, "sxm": True},
        "market": "spot",
        "region": "FIN-01",
        "maxUsdPerHour": 9,
    }


@pytest.mark.parametrize(
    "cloud",
    [
        {"kind": "local"},
        {"kind": "ssh", "host": "h", "host_public_key": "ssh-ed25519 A", "device": "/dev/vdb", "size_gib": 600},
    ],
)
def test_where_there_is_one_machine_only_nothing_is_chosen(cloud: dict[str, Any]) -> None:
    assert purchase.of(settings(cloud), CATALOG) is None


def test_a_plan_is_priced_by_the_cloud_where_it_answers_and_by_the_price_list_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    with spheron_account() as sim:
        stack = settings({"kind": "spheron", "base_url": sim.base_url})
        bought = purchase.of(stack, CATALOG)
        assert bought is not None
        account = SpheronAccount(base_url=sim.base_url)

        def cost() -> tuple[float | None, str]:
            request = purchase.priced_today(stack.request, account, bought, told.append)
            planned = make_plan(request, CATALOG).cost
            return planned.usd_per_hour, planned.basis

        listed, listed_basis = cost()
        assert "own offers" not in listed_basis
        assert [line.partition(":")[0] for line in told] == [
            "the cost is that of the price list, spheron named no price"
        ]
        assert "SPHERON_API_KEY is not set" in told[0]
        monkeypatch.setenv("SPHERON_API_KEY", API_KEY)
        usd_per_hour, basis = cost()
        assert usd_per_hour == 17.60
        assert basis.startswith("spheron's own offers, the cheapest of 3")
        assert listed is not None
        assert len(told) == 1


def test_a_price_that_the_stack_gives_is_not_asked_for() -> None:
    live = {"usd_per_hour": 1.5, "source": "a contract", "date": "2026-11-22"}
    stack = parse(gpu_config(cost={"live_price": live}), CATALOG)
    request, bought = stack.request, Purchase(query_of(CATALOG.shape("8x-h100-sxm5")))
    assert purchase.priced_today(request, SpheronAccount(base_url="http://127.0.0.1:1"), bought, pytest.fail) is request
