import fcntl
import os
from pathlib import Path

import pytest

from nodestack.clouds.local.records import NodeHome, NodeState, started_at
from nodestack.errors import AmbiguousError


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    directory = tmp_path / "nodes" / "n"
    directory.mkdir(parents=True)
    return NodeHome(directory)


def test_what_was_told_last_is_read_and_nothing_else_lies_about(home: NodeHome) -> None:
    assert home.state() is None
    home.write_state(NodeState(pid=1, start_ticks=2))
    home.write_state(NodeState(pid=1, start_ticks=2, boots=3))
    assert home.state() == NodeState(pid=1, start_ticks=2, boots=3)
    assert [path.name for path in home.directory.iterdir()] == ["state.json"]


def test_a_write_that_was_killed_in_the_middle_changes_nothing(home: NodeHome) -> None:
    home.write_state(NodeState(pid=1, start_ticks=2))
    (home.directory / ".state.json.unfinished").write_text('{"pid": 9')
    assert home.state() == NodeState(pid=1, start_ticks=2)


def test_a_strange_record_is_ambiguous_and_not_absent(home: NodeHome) -> None:
    (home.directory / "node.json").write_text('{"nodes": []}')
    with pytest.raises(AmbiguousError, match=r"node\.json is not what the local cloud wrote"):
        home.record()


def test_a_node_lives_as_long_as_anybody_holds_its_lock(home: NodeHome) -> None:
    assert not home.alive
    holder = os.open(home.supervisor_lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    heir = os.dup(holder)
    os.close(holder)
    assert home.alive
    os.close(heir)
    assert not home.alive


def test_a_process_is_known_by_its_start_and_one_that_is_not_there_by_none() -> None:
    assert started_at(os.getpid()) == started_at(os.getpid()) != started_at(1)
    assert started_at(2**22 + 1) is None
