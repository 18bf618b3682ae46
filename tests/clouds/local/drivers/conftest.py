"""The repository of stand-in drivers, built once for these tests."""

from pathlib import Path

import pytest

from nodestack.clouds.local import drivers


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Only while it is built: what all later tests need is in the user's cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("a cache")))
        return drivers.repository()
