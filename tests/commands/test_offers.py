"""`nodestack offers` as a process, against clouds over HTTP: cheapest first, priced live, bounded in its calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated.faults import Fault, Kind
from tests.commands.clouds import Account, spheron_account, verda_account
from tests.commands.runs import ROOT, THINKING

H100 = ("--node", "8x-h100-sxm5")


@pytest.fixture
def spheron(tmp_path: Path) -> Iterator[Account]:
    with spheron_account(tmp_path) as account:
        yield account


@pytest.fixture
def verda(tmp_path: Path) -> Iterator[Account]:
    with verda_account(tmp_path) as account:
        yield account


def at(account: Account) -> tuple[str, ...]:
    return ("--cloud", account.kind, "--base-url", account.base_url)


def test_what_fits_comes_cheapest_first_with_what_the_plan_makes_of_it_at_the_live_price(spheron: Account) -> None:
    rows = spheron.json("offers", *at(spheron), *H100, *THINKING)
    fitting = [row for row in rows if row["fits"]]
    assert [row["usd_per_hour"] for row in fitting] == [17.60, 19.20, 21.00]
    first = fitting[0]
    assert (first["provider"], first["region"], first["market"]) == ("voltage-park", "us-east-1", "on_demand")
    assert (first["format"], first["available"]) == ("fp8-block", True)
    assert first["concurrency"] > 1
    # The catalogue's price is 31.36; at 600,000 to 900,000 tokens an hour this is what 17.60 comes to.
    assert first["usd_per_million_output_tokens"] == pytest.approx([17.60 / 0.9, 17.60 / 0.6])
    assert {method.split()[0] for method in spheron.asked()} == {"GET"}


def test_what_keeps_the_others_out_is_told(spheron: Account) -> None:
    limits = ("--max-usd-per-hour", "18", "--region", "us-east-1")
    rows = spheron.json("offers", *at(spheron), *H100, *limits)
    assert [row["usd_per_hour"] for row in rows if row["fits"]] == [17.60]
    unfit = {row["usd_per_hour"]: row["reasons"] for row in rows if not row["fits"]}
    assert "that take no host key" in unfit[15.00]
    assert unfit[19.20] == ["of another region than asked for", "above 18.00 USD/h"]
    assert unfit[21.00] == ["above 18.00 USD/h"]
    shown = spheron.run("offers", *at(spheron), *H100, *limits).stdout
    assert "Does not fit" in shown
    assert "of another region than asked for (" in shown


def test_what_the_plan_refuses_does_not_fit_whatever_it_costs(spheron: Account) -> None:
    rows = spheron.json("offers", *at(spheron), *H100, *THINKING, "--format", "bf16", code=1)
    assert rows
    assert all("the weights do not fit" in row["reasons"][0] for row in rows)


def test_a_stack_brings_its_cloud_shape_and_model(spheron: Account) -> None:
    spheron.stack("demo")
    rows = spheron.json("offers", "--stack", "demo", "--market", "spot")
    assert {(row["shape"], row["model"], row["market"]) for row in rows} == {
        ("8x-h100-sxm5", "trinity-large-thinking", "spot")
    }


@pytest.mark.parametrize(("kind", "usd_per_hour"), [("spheron", 8.4), ("verda", 13.53)])
def test_the_stack_of_a_simulated_cloud_finds_its_nodes_of_this_machine_there(
    kind: str, usd_per_hour: float, request: pytest.FixtureRequest
) -> None:
    account: Account = request.getfixturevalue(kind)
    text = (ROOT / "stacks" / "templates" / f"{kind}-sim.yaml").read_text()
    document = yaml.safe_load(text)
    document["config"]["nodestack:cloud"] = account.section
    file = account.checkout.stack_file("sim")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(document))
    rows = account.json("offers", "--stack", "sim")
    assert {(row["shape"], row["market"]) for row in rows} == {("local", "spot")}
    assert {row["usd_per_hour"] for row in rows if row["fits"]} == {usd_per_hour}


def test_verda_is_asked_in_its_own_words(verda: Account) -> None:
    rows = verda.json("offers", *at(verda), "--node", "4x-h200-sxm5", *THINKING, "--market", "spot")
    assert {row["region"] for row in rows if row["fits"]} == {"FIN-01", "FIN-02", "FIN-03", "ICE-01"}
    assert {row["usd_per_hour"] for row in rows} == {7.98}
    assert sorted(verda.asked()) == sorted(
        ["POST /v1/oauth2/token", "GET /v1/instance-types", "GET /v1/instance-availability"]
    )


def test_sold_out_is_a_reason_and_nothing_fitting_ends_with_1(verda: Account) -> None:
    for key in verda.world.stock:
        verda.world.stock[key] = 0
    rows = verda.json("offers", *at(verda), *H100, code=1)
    assert {row["reasons"][0] for row in rows} == {"sold out"}
    assert verda.run("offers", *at(verda), *H100).stdout.startswith("Nothing fits.")


def test_500_offers_take_one_request_a_page_and_no_more(tmp_path: Path) -> None:
    goods = [
        (
            Offer(
                offer_id=f"o{number}",
                provider=f"p{number % 7}",
                region="r",
                gpu=f"H100_SXM5_{number // 2}",
                gpu_count=8,
                interconnect="SXM5",
                usd_per_hour=15 + number * 37 % 500 / 100,
                images=("Ubuntu 24.04",),
            ),
            1,
        )
        for number in range(500)
    ]
    with spheron_account(tmp_path, goods) as account:
        rows = account.json("offers", *at(account), *H100, *THINKING)
        assert len(rows) == 500
        prices = [row["usd_per_hour"] for row in rows]
        assert prices == sorted(prices)
        assert len({row["usd_per_million_output_tokens"][0] for row in rows}) == 500
        # 250 groups of two, a hundred a page.
        assert account.asked() == ["GET /api/gpu-offers"] * 3
        shown = account.run("offers", *at(account), *H100, *THINKING).stdout
        assert "and 475 dearer ones: --json has them all" in shown
        assert max(len(line) for line in shown.splitlines()) <= 100


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no cloud is named"),
        (("--cloud", "spheron", "--base-url", "http://example.com"), "plain http only on this machine's loopback"),
        (("--cloud", "local", "--base-url", "http://127.0.0.1:1"), "base_url"),
        (("--cloud", "spheron", "--node", "16x-h100-sxm5"), "the shape is of 2 machines"),
        (("--cloud", "spheron", "--node", "8x-h10"), "did you mean 8x-h100"),
        (("--cloud", "spheron", "--format", "bf16"), "say --model or --stack"),
        (("--cloud", "spheron", "--max-usd-per-hour", "0"), "--max-usd-per-hour"),
        (("--stack", "nowhere"), "there is neither"),
    ],
)
def test_bad_input_is_one_message_and_asks_nobody(spheron: Account, arguments: tuple[str, ...], told: str) -> None:
    found = spheron.run("offers", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert told in found.stderr
    assert spheron.asked() == []


def test_a_wrong_key_is_one_message_without_the_key(verda: Account) -> None:
    found = verda.run("offers", *at(verda), *H100, VERDA_CLIENT_SECRET="not-the-secret")  # noqa: S106 - wrong on purpose
    assert (found.returncode, found.stdout) == (1, "")
    assert "not-the-secret" not in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


def test_a_list_that_cannot_be_read_is_no_empty_list(spheron: Account) -> None:
    spheron.faults.add(Fault(kind=Kind.ERROR_BEFORE, method="GET", path="/api/gpu-offers", times=9))
    found = spheron.run("offers", *at(spheron), *H100)
    assert (found.returncode, found.stdout) == (1, "")
    assert "500" in found.stderr
