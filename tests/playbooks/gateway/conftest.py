"""A node on which the role was played, once for all tests of it."""

from collections.abc import Iterator

import pytest

from tests.playbooks.gateway.nodes import GatewayNode, gateway_node


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayNode]:
    """Return a node whose gateway serves a stand-in of the engine."""
    with gateway_node(tmp_path_factory.mktemp("gateway")) as node:
        played = node.play()
        assert played.exit_code == 0, played.text
        yield node
