"""A watched stack on each simulated cloud, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.automation.watched import Bench, opened

CLOUDS = ("spheron", "verda")


@pytest.fixture(params=CLOUDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with opened(request.param, tmp_path) as opened_bench:
        yield opened_bench


@pytest.fixture
def spheron(tmp_path: Path) -> Iterator[Bench]:
    with opened("spheron", tmp_path) as opened_bench:
        yield opened_bench
