"""Accounts name where a cloud is asked, never in the clear, and hold no key."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from nodestack.clouds import open_account
from nodestack.clouds.accounts import log_directory
from nodestack.clouds.base import Account, LocalAccount, OfferQuery, SpheronAccount, VerdaAccount
from nodestack.clouds.local import LocalCloud

PARSE = TypeAdapter[Account](Account)


def test_the_kind_tells_which_account_it_is() -> None:
    assert PARSE.validate_python({"kind": "local", "directory": "/a"}) == LocalAccount(directory="/a")
    assert PARSE.validate_python({"kind": "spheron", "team_id": "t"}) == SpheronAccount(team_id="t")
    assert PARSE.validate_python({"kind": "verda"}) == VerdaAccount()


@pytest.mark.parametrize(
    "url", ["http://app.spheron.ai", "ftp://127.0.0.1", "app.spheron.ai", "http://127.0.0.1.evil.example"]
)
def test_a_cloud_is_not_asked_in_the_clear(url: str) -> None:
    with pytest.raises(ValidationError, match="over https, over plain http only on this machine's loopback"):
        SpheronAccount(base_url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:1", "https://example.com"])
def test_the_loopback_may_be_asked_in_the_clear(url: str) -> None:
    assert SpheronAccount(base_url=f"{url}/").base_url == url


def test_an_account_holds_the_name_of_a_variable_not_a_key() -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        SpheronAccount(api_key_variable="sai_live_0123456789abcdef")


def test_the_local_cloud_sells_each_unbroken_recorded_hardware_for_nothing() -> None:
    cloud = open_account(LocalAccount(directory="/nowhere"))
    assert isinstance(cloud, LocalCloud)
    found = cloud.offers(OfferQuery(gpu="H100", gpu_count=8, sxm=True))
    assert [(offer.offer_id, offer.usd_per_hour) for offer in found] == [("h100-sxm5-x8", 0)]
    assert cloud.offers(OfferQuery(gpu="H100", gpu_count=8, sxm=True, market="spot")) == ()
    assert cloud.offers(OfferQuery(gpu="H200", gpu_count=8, sxm=True)) == ()
    assert cloud.balance() is None


def test_logs_lie_with_the_local_account_and_else_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert log_directory(LocalAccount(directory="/a")) == Path("/a/logs")
    assert log_directory(SpheronAccount()) == tmp_path / "nodestack" / "logs"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert log_directory(VerdaAccount()) == Path.home() / ".local/state/nodestack/logs"
