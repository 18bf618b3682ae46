"""One public hub for all tests that do nothing wrong with it."""

from collections.abc import Iterator

import pytest

from tests import hubs


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    with hubs.running(tmp_path_factory.mktemp("hub")) as running:
        yield running
