"""A run that was killed before the engine knew of its node: tearing down finds the node by its name all the same."""

import time

import pytest

from tests.e2e import victims
from tests.e2e.project import NODE, Project

pytestmark = [pytest.mark.e2e, pytest.mark.node]

PATIENCE_S = 120


def killed_while_the_node_boots(project: Project) -> None:
    process = project.start_up()
    deadline = time.monotonic() + PATIENCE_S
    while not (project.account / "nodes" / NODE / "state.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, project.started_log()
        time.sleep(0.02)
    assert victims.kill(["engine", "language host", "program", "plugin"], project.root)
    process.wait(PATIENCE_S)
    assert victims.gone(project.root, 15) == []


def test_down_removes_a_node_that_the_state_does_not_know(project: Project) -> None:
    killed_while_the_node_boots(project)
    assert len(project.nodes()) == 1
    down = project.make("down")
    assert down.status == 0, down.text
    assert f"deleted node {NODE}, which the state did not know" in down.text
    assert project.nodes() == []
    assert len(project.volumes()) == 1


def test_purge_removes_it_too_and_then_the_volume(project: Project) -> None:
    killed_while_the_node_boots(project)
    purge = project.make("purge", "YES=1")
    assert purge.status == 0, purge.text
    assert project.nodes() == project.volumes() == []


def test_purge_without_a_terminal_deletes_nothing_unless_told(project: Project) -> None:
    purge = project.make("purge")
    assert purge.status != 0
    assert "nothing was deleted" in purge.text
