"""The repository of stand-in drivers, built once for these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodestack.clouds.local import drivers


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("a cache")))
        yield drivers.repository()
