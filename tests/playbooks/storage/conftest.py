"""The bench that other roles are played on, with a volume nobody has used, and nodes whose disks can be anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playbooks.nvidia_driver.conftest import bench
from tests.playbooks.storage.nodes import ProbedNode

__all__ = ["bench", "node"]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ProbedNode]:
    """Return a node with no disk and no share."""
    node = ProbedNode(tmp_path)
    yield node
    node.close()
