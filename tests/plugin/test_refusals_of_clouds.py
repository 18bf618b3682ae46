"""What a cloud refuses, through the real engine: one clear message, nothing bought, and no credential anywhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodestack.clouds.offers import Offer
from tests.clouds.markets import REQUESTS, Market, open_market
from tests.plugin.trial import Run, Trial

pytestmark = [pytest.mark.e2e, pytest.mark.independent]

EIGHT_H100: dict[str, Any] = {"gpu": "H100", "gpuCount": 8, "sxm": True}
WRONG = "not-the-key-0123456789"
CLOUDS = list(REQUESTS)


@dataclass
class Bench:
    """A stack that has nothing yet, and the simulated account that it would buy in."""

    trial: Trial
    market: Market

    def up(self, **bought: Any) -> Run:
        """Try to bring the stack up."""
        return self.trial.up(account=self.market.account, bought={"wish": EIGHT_H100, **bought})

    def require_refused(self, run: Run, *said: str) -> None:
        """Assert that a run said why it ended, without a credential, and bought nothing."""
        assert run.status != 0, run.text
        for words in said:
            assert words in run.text, run.text
        assert "Traceback" not in run.text
        told = [line for line in run.text.splitlines() if line.strip().startswith("error:") and said[0] in line]
        assert len(told) == 1, f"one message: {run.text}"
        for secret in (*self.market.keys.values(), WRONG):
            assert secret not in run.text
            assert secret not in self.trial.state()
        assert self.market.world.report().orders == {}
        assert (self.market.count("ordering the node"), self.market.count("making the volume")) == (0, 0)

    def offered(self, change: Callable[[list[Offer]], list[Offer]]) -> None:
        """Change what the cloud offers from now on."""
        self.market.world.market = change(self.market.world.market)


@pytest.fixture(scope="module", params=CLOUDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_market(request.param, answering=True) as market:
        yield Bench(Trial(tmp_path_factory.mktemp("a trial"), market.account), market)


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    """Return the stack at a cloud with its usual offers and money."""
    world = shared.market.world
    market, stock, account = list(world.market), dict(world.stock), shared.market.account
    yield shared
    world.market, world.stock, shared.market.account = market, stock, account
    world.pay_in(1000 - world.balance_usd)


def _key_variable(market: Market) -> str:
    return list(market.keys)[-1]


@pytest.mark.qualify
def test_a_wrong_key_names_its_variable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_key_variable(bench.market), WRONG)
    said = {"spheron": ("Check the key",), "verda": ("Verda does not accept the credentials", "VERDA_CLIENT_SECRET")}
    bench.require_refused(bench.up(), *said[bench.market.kind])


@pytest.mark.qualify
def test_an_expired_token_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if bench.market.project is None:
        pytest.skip("Spheron gives out no tokens: a key that expired is a wrong key")
    monkeypatch.setattr(bench.market.project, "token_s", 0.000001)
    bench.require_refused(bench.up(), "Verda does not accept the token it gave out", "Check the project's credentials")


def test_a_team_that_the_key_does_not_have_is_told_with_those_it_has(bench: Bench) -> None:
    if bench.market.kind != "spheron":
        pytest.skip("Verda's credentials belong to one project")
    bench.market.account = bench.market.account | {"team_id": "team-x"}
    bench.require_refused(bench.up(), "team team-x is not among the key's teams, which are: team-other, team-simulated")


def test_without_money_nothing_is_ordered(bench: Bench) -> None:
    bench.market.world.pay_in(-bench.market.world.balance_usd)
    said = {"spheron": "paid beforehand: pay in first", "verda": "nothing can be ordered: top it up"}
    bench.require_refused(bench.up(), said[bench.market.kind])


@pytest.mark.qualify
def test_what_nobody_offers_is_told_by_what_was_asked_for(bench: Bench) -> None:
    run = bench.up(wish=EIGHT_H100 | {"gpuCount": 3})
    bench.require_refused(run, "no place for volume weights: the cloud offers no 3x H100 SXM, on demand")


@pytest.mark.qualify
def test_an_offer_that_is_gone_since_the_preview_buys_nothing(bench: Bench) -> None:
    assert bench.trial.preview(account=bench.market.account, bought={"wish": EIGHT_H100}).status == 0
    bench.offered(lambda offers: [offer for offer in offers if offer.gpu_count != EIGHT_H100["gpuCount"]])
    bench.require_refused(bench.up(), "no place for volume weights: the cloud offers no 8x H100 SXM, on demand")


@pytest.mark.qualify
def test_a_price_above_the_limit_is_told_with_the_lowest_there_is(bench: Bench) -> None:
    lowest = {"spheron": "17.60", "verda": "27.06"}[bench.market.kind]
    bench.require_refused(bench.up(maxUsdPerHour=5), f"above 5.00 USD/h (from {lowest} USD/h)")


@pytest.mark.qualify
def test_a_price_that_rose_above_the_limit_since_the_preview_buys_nothing(bench: Bench) -> None:
    wanted = {"wish": EIGHT_H100, "maxUsdPerHour": 30}
    assert bench.trial.preview(account=bench.market.account, bought=wanted).status == 0
    bench.offered(lambda them: [one.model_copy(update={"usd_per_hour": 3 * one.usd_per_hour}) for one in them])
    bench.require_refused(bench.up(maxUsdPerHour=30), "above 30.00 USD/h")


@pytest.mark.qualify
def test_no_process_has_a_credential_on_its_command_line_and_the_state_has_none(bench: Bench) -> None:
    bench.trial.want(account=bench.market.account, bought={"wish": EIGHT_H100})
    seen: set[bytes] = set()
    with bench.trial.start() as process:
        while process.poll() is None:
            seen |= set(_command_lines())
            time.sleep(0.01)
        text, _ = process.communicate()
    assert process.returncode == 0, text
    assert any(b"infra/provider" in line for line in seen), "the plugin was seen"
    secrets = [*bench.market.keys.values(), "BEGIN OPENSSH PRIVATE KEY"]
    assert [secret for secret in secrets for line in seen if secret.encode() in line] == []
    assert [secret for secret in secrets if secret in text + bench.trial.state()] == []
    bench.market.world.advance(3600)
    assert bench.trial.run("destroy", "--yes", "--skip-preview").status == 0


def _command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (entry / "cmdline").read_bytes()
