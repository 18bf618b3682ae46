"""What a node says about itself: one JSON object, whatever is there or missing."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nodestack.provisioning.report import NodeStatusReport

SCRIPT = Path(__file__).parents[3] / "playbooks" / "roles" / "base" / "files" / "status"


class Node:
    """A directory that stands for the root of a node, and a systemctl that says what it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "var" / "lib" / "nodestack"
        (self.state / "results").mkdir(parents=True)
        (root / "bin").mkdir()
        self.script = root / "status"
        # Only where things are is changed; the node's own root cannot be another one for a test.
        self.script.write_text(SCRIPT.read_text().replace('Path("/', f'Path("{root}/'))

    def systemctl_says(self, load: str, active: str) -> None:
        stand_in = self.root / "bin" / "systemctl"
        stand_in.write_text(f"#!/bin/sh\necho LoadState={load}\necho ActiveState={active}\n")
        stand_in.chmod(0o755)

    def status(self) -> dict[str, Any]:
        environment = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        answer = subprocess.run([sys.executable, self.script], env=environment, capture_output=True, check=True)
        content: dict[str, Any] = json.loads(answer.stdout)
        NodeStatusReport.model_validate_json(answer.stdout)
        return content

    def verified(self, content: bytes = b"weights") -> Path:
        """Lay down one verified file with its record; return the file."""
        weights = self.root / "weights"
        directory = weights / "org--name" / ("a" * 40)
        directory.mkdir(parents=True)
        file = directory / "model.safetensors"
        file.write_bytes(content)
        (weights / "current").symlink_to(directory.relative_to(weights))
        record = {
            "directory": str(directory),
            "commit": "a" * 40,
            "manifest_sha256": "b" * 64,
            "files": {file.name: [file.stat().st_size, file.stat().st_mtime_ns]},
        }
        (self.state / "weights-verified.json").write_text(json.dumps(record))
        return file


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    made.systemctl_says("loaded", "active")
    return made


def test_a_bare_node_has_nothing_to_say_but_says_it(node: Node) -> None:
    node.systemctl_says("not-found", "inactive")

    assert node.status() == {
        "identity": None,
        "applied": None,
        "service": "missing",
        "weights": None,
        "gateway": None,
        "results": {
            "driver": None,
            "fabric": None,
            "weights": None,
            "engine": None,
            "smoke": None,
            "probe": None,
            "bench": None,
        },
    }


@pytest.mark.parametrize(
    ("active", "said"),
    [("active", "active"), ("failed", "failed"), ("inactive", "inactive"), ("activating", "inactive")],
)
def test_a_service_that_only_starts_is_not_active(node: Node, active: str, said: str) -> None:
    node.systemctl_says("loaded", active)

    assert node.status()["service"] == said


def test_untouched_weights_have_no_changed_files(node: Node) -> None:
    node.verified()

    assert node.status()["weights"] == {"commit": "a" * 40, "manifest_sha256": "b" * 64, "changed": []}


def test_a_touched_file_is_named(node: Node) -> None:
    file = node.verified()
    os.utime(file)

    assert node.status()["weights"]["changed"] == ["model.safetensors"]


def test_a_missing_file_and_a_turned_link_are_named(node: Node) -> None:
    node.verified().unlink()
    (node.root / "weights" / "current").unlink()

    assert node.status()["weights"]["changed"] == ["current", "model.safetensors"]


def test_a_gateway_tells_whether_it_runs_and_which_of_its_files_are_not_those_that_it_runs_with(node: Node) -> None:
    keys, gone = node.root / "keys.conf", node.root / "gone.conf"
    keys.write_text("one key")
    files = {str(file): hashlib.sha256(b"one key").hexdigest() for file in (keys, gone)}
    (node.state / "gateway.json").write_text(json.dumps({"unit": "g", "invocation": "i", "files": files}))

    assert node.status()["gateway"] == {"service": "active", "changed": [str(gone)]}
    keys.write_text("another")
    node.systemctl_says("loaded", "failed")
    assert node.status()["gateway"] == {"service": "failed", "changed": sorted([str(gone), str(keys)])}


def test_a_half_written_result_counts_as_none(node: Node) -> None:
    (node.state / "results" / "weights.json").write_text('{"pass": tr')

    assert node.status()["results"]["weights"] is None


def test_it_is_quick_and_changes_nothing(node: Node) -> None:
    node.verified()
    before = sorted((path, path.lstat().st_mtime_ns) for path in node.root.rglob("*"))

    began = time.process_time()
    node.status()

    assert time.process_time() - began < 0.2
    assert sorted((path, path.lstat().st_mtime_ns) for path in node.root.rglob("*")) == before
