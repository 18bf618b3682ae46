"""The programs of the weights role, run as the node runs them: as processes, against a hub that is real."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodestack.clouds.local import tiny_model
from tests import hubs

PROGRAMS = Path(__file__).parents[3] / "playbooks" / "roles" / "weights" / "files"


class Node:
    """A volume, a node's own disk, and the two programs on it."""

    def __init__(self, directory: Path, hub: hubs.Hub) -> None:
        self.hub = hub
        self.root = directory / "volume" / "weights"
        self.state = directory / "state"
        self.run = directory / "run"

    @property
    def model(self) -> Path:
        return self.root / tiny_model.REPOSITORY.replace("/", "--")

    @property
    def final(self) -> Path:
        return self.model / tiny_model.COMMIT

    @property
    def staging(self) -> Path:
        return self.model / f"{tiny_model.COMMIT}.staging"

    def fetch_command(self, **changes: str) -> list[str]:
        options = {
            "root": str(self.root),
            "endpoint": self.hub.endpoint,
            "repository": tiny_model.REPOSITORY,
            "commit": tiny_model.COMMIT,
            "state-directory": str(self.state),
            "run-directory": str(self.run),
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [sys.executable, "-m", "nodestack_weights.fetch", *arguments]

    def start_fetch(self, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.fetch_command(**changes),
            cwd=PROGRAMS,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fetch(self, **changes: str) -> dict[str, Any]:
        """Fetch and return the result; it must succeed."""
        process = self.start_fetch(**changes)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        result: dict[str, Any] = json.loads(output)
        return result

    def refused_fetch(self, **changes: str) -> str:
        """Fetch, which must fail with one line; return it."""
        process = self.start_fetch(**changes)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (1, ""), errors
        lines: list[str] = errors.splitlines()
        assert len(lines) == 1, errors
        return lines[0]

    def verify(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nodestack_weights.verify", "--state-directory", str(self.state)]
        return subprocess.run(
            command, cwd=PROGRAMS, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )

    def result(self) -> dict[str, Any]:
        """Return what the last run left for the node's status."""
        content: dict[str, Any] = json.loads((self.state / "results" / "weights.json").read_text())
        return content

    def is_what_the_hub_has(self, commit: str = tiny_model.COMMIT) -> bool:
        """Return whether `current` leads to exactly this commit's files."""
        original = {path.name: path.read_bytes() for path in tiny_model.checkpoint(commit).iterdir()}
        current = self.root / "current"
        return original == {path.name: path.read_bytes() for path in current.iterdir()}


def environment() -> dict[str, str]:
    """Return an environment as a node has it, without anything a developer's shell may have set for the hub."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="package")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    with hubs.running(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def hub(shared_hub: hubs.Hub) -> hubs.Hub:
    shared_hub.forget()
    return shared_hub


@pytest.fixture
def new_node(tmp_path: Path, hub: hubs.Hub) -> Callable[[str], Node]:
    return lambda name: Node(tmp_path / name, hub)


@pytest.fixture
def node(new_node: Callable[[str], Node]) -> Node:
    return new_node("node")
