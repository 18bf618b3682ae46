"""The cheapest offer that fits is chosen, and what keeps the others out is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack.catalog.nodes import Shape
from nodestack.clouds.base import Offer, OfferQuery, Volume
from nodestack.clouds.offers import is_model
from nodestack.errors import CloudError
from nodestack.lifecycle import choose
from nodestack.lifecycle.choose import Wish

QUERY = OfferQuery(gpu="H100", gpu_count=8, sxm=True)
WISH = Wish(query=QUERY)
OFFER = Offer(
    offer_id="o", provider="p", region="r", gpu="H100_SXM5", gpu_count=8, interconnect="SXM5", usd_per_hour=20
)

MISFITS: list[tuple[dict[str, object], dict[str, object], str]] = [
    ({"gpu": "GH100_SXM5"}, {}, "of other GPUs"),
    ({"gpu": "H200_SXM5"}, {}, "of other GPUs"),
    ({"gpu_count": 4}, {}, "of another number of GPUs"),
    ({"gpu": "H100", "interconnect": "PCIe"}, {}, "without NVLink boards"),
    ({"market": "spot"}, {}, "of the other market"),
    ({}, {"query": QUERY.model_copy(update={"region": "elsewhere"})}, "of another region than asked for"),
    ({}, {"volume_region": "elsewhere"}, "out of the volume's reach"),
    ({}, {"volume_region": "r", "volume_provider": "other"}, "out of the volume's reach"),
    ({"images": ("Debian",)}, {"image": "Ubuntu 24.04"}, "without the image"),
    ({"supports_cloud_init": False}, {}, "that take no host key"),
    ({"available": False}, {}, "sold out"),
    ({}, {"max_usd_per_hour": 19.99}, "above 19.99 USD/h"),
]


@pytest.mark.parametrize(("offer", "wish", "reason"), MISFITS, ids=[reason for _, _, reason in MISFITS])
def test_an_offer_that_does_not_fit_is_left_out_and_told_why(
    offer: dict[str, object], wish: dict[str, object], reason: str
) -> None:
    offers, asked = [OFFER.model_copy(update=offer)], WISH.model_copy(update=wish)
    assert choose.fitting(offers, asked) == ()
    assert f"1 {reason} (from 20.00 USD/h)" in choose.why_none(offers, asked)


def test_what_fits_in_all_ways_is_taken() -> None:
    wish = Wish(query=QUERY.model_copy(update={"region": "r"}), image="Ubuntu", max_usd_per_hour=20)
    volume = Volume(volume_id="v", name="weights", size_gib=1, provider="p", region="r")
    offer = OFFER.model_copy(update={"images": ("Debian", "Ubuntu")})
    assert choose.fitting([offer], wish.near(volume)) == (offer,)


def test_a_volume_without_a_place_binds_nothing() -> None:
    assert choose.fitting([OFFER], WISH.near(Volume(volume_id="v", name="w", size_gib=1))) == (OFFER,)


def test_no_offer_at_all_is_told_with_what_was_asked_for() -> None:
    assert choose.why_none([], WISH) == "the cloud offers no 8x H100 SXM, on demand"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=8))
def test_cheapest_comes_first_and_the_clouds_order_does_not_matter(given: list[tuple[str, int]]) -> None:
    offers = [
        OFFER.model_copy(update={"provider": provider, "usd_per_hour": float(price), "offer_id": str(number)})
        for number, (provider, price) in enumerate(given)
    ]
    chosen = choose.fitting(offers, WISH)
    assert chosen == choose.fitting(reversed(offers), WISH)
    assert [offer.usd_per_hour for offer in chosen] == sorted(offer.usd_per_hour for offer in offers)


@pytest.mark.parametrize(
    ("gpu", "count", "expected"),
    [
        ("h100-80gb-sxm5", 8, ("H100", True)),
        ("l40s-48gb-pcie", 1, ("L40S", False)),
        ("b200-180gb-sxm6", 8, ("B200", True)),
    ],
)
def test_a_shape_of_the_catalogue_says_what_to_ask_for(gpu: str, count: int, expected: tuple[str, bool]) -> None:
    query = choose.query_of(Shape(gpu=gpu, gpu_count=count, nvswitch=False, runs_on="gpu"), "spot", "FIN-01")
    assert (query.gpu, query.sxm, query.gpu_count) == (*expected, count)
    assert (query.market, query.region) == ("spot", "FIN-01")


def test_a_shape_of_two_machines_is_not_one_offer() -> None:
    with pytest.raises(CloudError, match="the shape is of 2 machines"):
        choose.query_of(Shape(gpu="h100-80gb-sxm5", gpu_count=8, machines=2, nvswitch=True, runs_on="gpu"))


@pytest.mark.parametrize(
    ("gpu", "name", "expected"),
    [
        ("H200", "H200_SXM5", True),
        ("H200", "NVIDIA GH200 480GB", False),
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("H100", "8x h100-sxm", True),
        ("L40", "L40S", False),
        ("A100", "A1000", False),
    ],
)
def test_a_model_is_not_taken_for_one_whose_name_contains_it(gpu: str, name: str, expected: bool) -> None:
    assert is_model(gpu, name) is expected
