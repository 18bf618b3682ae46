"""A real machine through the plugin's process: made, found again, seen to be gone, made anew, deleted."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, log_server, plugin_process

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("an account")


@pytest.fixture(scope="module")
def volume(engine: Engine, directory: Path) -> Iterator[Existing]:
    made = engine.create("Volume", inputs.volume(directory))
    yield made
    engine.delete(made)


@pytest.fixture(scope="module")
def node(engine: Engine, directory: Path, volume: Existing) -> Iterator[Existing]:
    made = engine.create("Node", inputs.node(directory, volume.resource_id))
    yield made
    engine.delete(made)
    shutil.rmtree(directory / "nodes")


def configured(directory: Path, node: Existing) -> Existing:
    """A configuration as it is recorded once it was applied, though it never was."""
    asked = inputs.configuration(directory, node.outputs)
    return Existing("Configuration", str(node.outputs["identity"]), asked, {"documentSha256": "d0"})


def test_it_is_ready_when_it_is_made_and_read_as_it_was_made(engine: Engine, node: Existing) -> None:
    assert node.outputs["ready"] is True
    assert str(node.outputs["sshHostPublicKey"]).startswith("ssh-ed25519 ")
    assert engine.read(node) == node


def test_its_way_is_told_on_its_row(directory: Path, volume: Existing, node: Existing) -> None:
    with log_server() as (log, address), plugin_process(address) as (another_run, _):
        assert another_run.create("Node", node.inputs) == node
        assert log.came.wait(5)
    assert log.lines[0].urn.endswith("nodestack:index:Node::it")
    assert log.lines[0].message == "found node web, going on with it"


def test_a_machine_nobody_configured_is_drift(engine: Engine, directory: Path, node: Existing) -> None:
    seen = engine.read(configured(directory, node))
    assert seen is not None
    assert seen.outputs["drift"] == ["the node was not configured yet, or by another version of nodestack"]


def test_deleting_a_configuration_leaves_the_machine_alone(engine: Engine, directory: Path, node: Existing) -> None:
    engine.delete(configured(directory, node))
    assert engine.read(node) == node


def test_a_machine_that_vanished_is_made_anew_and_is_another_one(
    engine: Engine, directory: Path, volume: Existing, node: Existing
) -> None:
    state = json.loads((directory / "nodes" / "web" / "state.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while engine.read(node) is not None:
        assert time.monotonic() < deadline, "the machine's processes outlive its supervisor"
    assert engine.read(configured(directory, node)) is None
    again = engine.create("Node", node.inputs)
    try:
        assert again.outputs["identity"] != node.outputs["identity"]
        assert engine.read(configured(directory, node)) is None
        assert engine.read(volume) == volume
    finally:
        engine.delete(again)
    assert engine.read(again) is None
