"""A simulated Spheron account for each test that asks for one."""

from collections.abc import Iterator

import pytest

from nodestack.clouds.simulated.spheron import API_KEY
from tests.clouds.spheron.bench import Spheron, spheron_account


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spheron]:
    monkeypatch.setenv("SPHERON_API_KEY", API_KEY)
    with spheron_account() as account:
        yield account
