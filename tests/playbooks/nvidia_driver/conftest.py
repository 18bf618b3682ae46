"""A node for the tests of this role; other roles' tests take it from here."""

from collections.abc import Iterator

import pytest

from tests.playbooks.roles_bench import Bench, opened


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a node with eight H100 and no driver."""
    with opened(tmp_path_factory.mktemp("bench")) as bench:
        yield bench
