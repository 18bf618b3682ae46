"""An account of 200 nodes at a cloud with 500 offers: a preview and an up ask once a page, and no more."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated import spheron
from nodestack.clouds.simulated.machines import Order
from tests.clouds.markets import Market, open_market
from tests.plugin.trial import Trial

pytestmark = [pytest.mark.e2e, pytest.mark.qualify]

NODES, OFFERS, PAGE = 200, 500, 100
WISH = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}


def _fill(market: Market) -> None:
    """Have 500 offers, each of a GPU type of its own, and 200 nodes and volumes of others."""
    world = market.world
    there = world.market[0]
    for number in range(OFFERS - len(world.market)):
        offer = Offer(
            offer_id=f"o{number}",
            provider=there.provider,
            region=there.region,
            gpu=f"H100_SXM5_{number}",
            gpu_count=8,
            interconnect="SXM5",
            usd_per_hour=50 + number,
            images=there.images,
        )
        world.market.append(offer)
        world.stock[(offer.offer_id, offer.region, offer.market)] = 1
    world.pay_in(1e9)
    world.stock[(there.offer_id, there.region, there.market)] += NODES
    for number in range(NODES):
        world.order(Order(name=f"web-{number}", offer=there))
        world.make_disk(f"weights-{number}", 1, there.provider, there.region)
    world.rules = world.rules.model_copy(update={"page_size": PAGE})


def test_calls_are_one_a_page_and_a_preview_of_what_is_there_makes_two(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with open_market("spheron", answering=False) as market:
        _fill(market)
        trial = Trial(tmp_path, market.account)
        calls: dict[str, Counter[str]] = {}

        def counted(name: str, run: Callable[[], object]) -> None:
            before = len(market.faults.asked)
            run()
            calls[name] = Counter(f"{one.method} {one.path}" for one in market.faults.asked[before:])
            record_property(f"calls of a {name} with {NODES} nodes and {OFFERS} offers", calls[name].total())
            print(f"{name}: {calls[name].total()} calls: {dict(calls[name])}")

        counted("first preview", lambda: trial.preview(bought=WISH, node=False))
        assert calls["first preview"].total() == 0

        counted("first up", trial.up)
        groups = len({offer.gpu for offer in market.world.market if "h100" in offer.gpu.lower()})
        pages = -(-groups // PAGE)
        assert calls["first up"] == {
            "GET /api/gpu-offers": pages,
            "GET /api/volumes": NODES // PAGE,
            "GET /api/balance": 2,
            "POST /api/volumes": 1,
        }
        counted("second preview", trial.preview)
        assert calls["second preview"].total() == 1
        assert spheron.API_KEY not in trial.state()
