"""The check before each start of the service: offline, of every byte, naming what is wrong."""

import json
import os
from pathlib import Path

import pytest

from tests.playbooks.weights.conftest import Node

SHARD = "model-00003-of-00005.safetensors"


@pytest.fixture
def fetched(node: Node) -> Node:
    node.fetch()
    node.hub.log.write_text("")
    return node


def flip_a_byte(path: Path) -> None:
    """Change one byte and leave size and times as they were, as a failing disk does."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[1234] ^= 0x80
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_intact_weights_pass_without_a_word_and_without_the_hub(fetched: Node) -> None:
    verdict = fetched.verify()

    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, "", "")
    assert not fetched.hub.requests()


def test_one_flipped_byte_is_refused_with_the_file_and_the_way_out(fetched: Node) -> None:
    flip_a_byte(fetched.final / SHARD)

    verdict = fetched.verify()

    assert verdict.returncode == 1
    assert verdict.stderr.startswith(f"{fetched.final}/{SHARD} has SHA-256 ")
    assert "run `pulumi up`, which fetches this file again and nothing else" in verdict.stderr


def test_what_was_found_bad_is_fetched_again_although_its_times_say_nothing(fetched: Node) -> None:
    flip_a_byte(fetched.final / SHARD)
    assert fetched.fetch()["changed"] is False

    fetched.verify()

    assert fetched.fetch()["fetched_files"] == [SHARD]
    assert fetched.verify().returncode == 0


def test_missing_short_and_stray_files_are_each_named(fetched: Node) -> None:
    (fetched.final / SHARD).unlink()
    (fetched.final / "config.json").write_text("{}")
    (fetched.final / "extra.safetensors").write_text("")

    said = fetched.verify().stderr

    assert f"{SHARD} is missing" in said
    assert "config.json has 2 bytes instead of" in said
    assert "extra.safetensors does not belong to this commit" in said


def test_a_manifest_made_to_fit_the_damage_is_refused(fetched: Node) -> None:
    (path,) = fetched.model.glob("*.manifest.json")
    content = json.loads(path.read_bytes())
    content["files"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")))

    verdict = fetched.verify()

    assert verdict.returncode == 1
    assert "instead of the recorded" in verdict.stderr


def test_a_link_turned_to_something_else_is_refused(fetched: Node) -> None:
    current = fetched.root / "current"
    current.unlink()
    current.symlink_to("/tmp")  # noqa: S108

    assert "does not point at the verified commit" in fetched.verify().stderr


def test_a_node_that_verified_nothing_yet_is_told_what_to_do(node: Node) -> None:
    verdict = node.verify()

    assert verdict.returncode == 1
    assert "no weights were verified on this node; run `pulumi up`" in verdict.stderr
