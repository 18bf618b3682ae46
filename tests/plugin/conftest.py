"""The plugin as a process of its own, once for all tests that only talk to it."""

from collections.abc import Iterator

import pytest

from tests.plugin.engine import Engine, plugin_process


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with plugin_process("127.0.0.1:1") as (engine, _):
        yield engine
