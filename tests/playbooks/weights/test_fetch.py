"""Fetching: what is asked of the hub, what lies on the volume afterwards, what is refused."""

import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodestack.clouds.local import tiny_model
from tests import hubs
from tests.playbooks.weights.conftest import Node

SHARD = "model-00002-of-00005.safetensors"
SHARD_BYTES = 990_616
SHARD_COUNT = 5
CUT_AT = 400_000
ANOTHER_DIGEST = "0" * 64


def shards_fetched(hub: hubs.Hub) -> Counter[str]:
    return Counter(Path(body["path"]).name for body in hub.bodies() if body["path"].endswith(".safetensors"))


def body_bytes(hub: hubs.Hub, name: str) -> int:
    return sum(body["bytes"] for body in hub.bodies() if body["path"].endswith(name) and body["status"] < 300)


def move_volume(first: Node, second: Node) -> None:
    second.root.parent.parent.mkdir()
    first.root.parent.rename(second.root.parent)


def flip_a_byte(path: Path, *, unnoticed: bool = False) -> None:
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if unnoticed:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_new_volume_gets_every_file_once_and_its_manifest(node: Node) -> None:
    result = node.fetch()

    assert node.is_what_the_hub_has()
    assert result == node.result() | {"changed": True}
    assert result["pass"] is True
    assert sorted(result["fetched_files"]) == sorted(path.name for path in tiny_model.checkpoint().iterdir())
    assert (
        result["fetched_bytes"] == result["bytes"] == sum(p.stat().st_size for p in tiny_model.checkpoint().iterdir())
    )
    assert set(shards_fetched(node.hub).values()) == {1}
    assert os.readlink(node.root / "current") == f"nodestack--tiny-afmoe-thinking/{tiny_model.COMMIT}"
    assert not node.staging.exists()


def test_the_digest_is_that_of_the_manifest_file_which_lists_path_size_and_hash(node: Node) -> None:
    digest = node.fetch()["manifest_sha256"]

    content = (node.model / f"{tiny_model.COMMIT}.manifest.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    for file in json.loads(content)["files"]:
        original = (tiny_model.checkpoint() / file["path"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(original), hashlib.sha256(original).hexdigest())


def test_a_second_run_changes_nothing_and_asks_only_for_the_manifest(node: Node) -> None:
    digest = node.fetch()["manifest_sha256"]
    before = len(node.hub.requests())

    result = node.fetch(expected_manifest_sha256=digest)

    asked = [request["path"] for request in node.hub.requests()[before:]]
    assert asked == [f"/api/models/{tiny_model.REPOSITORY}/revision/{tiny_model.COMMIT}"]
    assert (result["changed"], result["fetched_files"], result["manifest_sha256"]) == (False, [], digest)


def test_a_new_node_verifies_the_volume_and_fetches_nothing(new_node: Callable[[str], Node]) -> None:
    first, second = new_node("first"), new_node("second")
    first.fetch()
    bodies = len(first.hub.bodies())
    move_volume(first, second)

    result = second.fetch()

    assert (result["fetched_files"], len(second.hub.bodies())) == ([], bodies)
    assert second.verify().returncode == 0


def test_a_new_node_finds_damage_that_left_no_trace_in_the_times(new_node: Callable[[str], Node]) -> None:
    first, second = new_node("first"), new_node("second")
    first.fetch()
    move_volume(first, second)
    flip_a_byte(second.final / SHARD, unnoticed=True)

    assert second.fetch()["fetched_files"] == [SHARD]
    assert second.is_what_the_hub_has()


@pytest.mark.parametrize("damage", [flip_a_byte, Path.unlink])
def test_only_a_damaged_shard_is_fetched_again(node: Node, damage: Callable[[Path], None]) -> None:
    node.fetch()
    damage(node.final / SHARD)
    before = shards_fetched(node.hub)

    result = node.fetch()

    assert (result["changed"], result["fetched_files"]) == (True, [SHARD])
    assert shards_fetched(node.hub) - before == {SHARD: 1}
    assert node.is_what_the_hub_has()


def test_a_damaged_small_file_is_fetched_again_too(node: Node) -> None:
    node.fetch()
    flip_a_byte(node.final / "config.json")

    assert node.fetch()["fetched_files"] == ["config.json"]
    assert node.is_what_the_hub_has()


def test_a_stray_file_is_removed_because_an_engine_would_load_it(node: Node) -> None:
    node.fetch()
    (node.final / "model-00009-of-00009.safetensors").write_bytes(b"stray")

    assert node.fetch()["changed"] is True
    assert node.is_what_the_hub_has()


def test_a_cut_shard_is_continued_and_no_byte_comes_twice(node: Node) -> None:
    node.hub.go_wrong({"path": f"*/{SHARD}", "cut_after_bytes": CUT_AT})

    node.fetch()

    ranges = [(body["range"], body["bytes"]) for body in node.hub.bodies() if body["path"].endswith(SHARD)]
    assert ranges == [(None, CUT_AT), (f"bytes={CUT_AT}-", SHARD_BYTES - CUT_AT)]
    assert node.is_what_the_hub_has()


def test_a_stalled_shard_is_dropped_and_continued(node: Node) -> None:
    node.hub.go_wrong({"path": f"*/{SHARD}", "stall_after_bytes": CUT_AT, "stall_s": 20})

    assert node.fetch(stall_s="1")["seconds"] < 15

    assert f"bytes={CUT_AT}-" in {body["range"] for body in node.hub.bodies()}
    assert node.is_what_the_hub_has()


def test_an_error_now_and_then_is_borne_with(node: Node) -> None:
    node.hub.go_wrong({"path": "*.safetensors", "status": 503, "times": 2})

    node.fetch()

    assert node.is_what_the_hub_has()


def test_a_beginning_that_was_damaged_meanwhile_is_found_and_fetched_anew(node: Node) -> None:
    node.staging.mkdir(parents=True)
    (node.staging / f"{SHARD}.part").write_bytes(b"\x00" * CUT_AT)

    node.fetch()

    assert node.is_what_the_hub_has()


def test_a_hub_that_serves_other_bytes_than_it_lists_is_not_believed(node: Node, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    shutil.copytree(tiny_model.repository().parent.parent, root)
    with hubs.running(tmp_path, "--root", str(root)) as hub:
        node.hub = hub
        hub.go_wrong({"path": "*.safetensors", "status": 503, "times": 100})
        process = node.start_fetch()
        while not hub.bodies():
            pass
        process.kill()
        process.communicate()
        flip_a_byte(root / tiny_model.REPOSITORY / tiny_model.COMMIT / SHARD)
        hub.go_wrong()

        assert f"{SHARD} came with SHA-256" in node.refused_fetch()
    assert not node.final.exists()
    assert not (node.root / "current").exists()


def test_another_commit_becomes_current_and_the_first_one_stays(node: Node) -> None:
    node.fetch()

    node.fetch(commit=tiny_model.NEXT_COMMIT)

    assert node.is_what_the_hub_has(tiny_model.NEXT_COMMIT)
    assert node.final.is_dir()


def test_going_back_to_a_commit_that_is_still_there_fetches_nothing(node: Node) -> None:
    node.fetch()
    node.fetch(commit=tiny_model.NEXT_COMMIT)

    result = node.fetch()

    assert (result["fetched_files"], result["changed"]) == ([], True)
    assert node.is_what_the_hub_has()


def test_a_manifest_other_than_the_recorded_one_is_refused_before_any_shard(node: Node) -> None:
    message = node.refused_fetch(expected_manifest_sha256=ANOTHER_DIGEST)

    assert f"instead of {ANOTHER_DIGEST}" in message
    assert not shards_fetched(node.hub)
    assert node.result()["pass"] is False


def test_files_changed_under_the_same_commit_are_refused_and_what_was_there_stays(node: Node, tmp_path: Path) -> None:
    digest = node.fetch()["manifest_sha256"]
    root = tmp_path / "hub"
    shutil.copytree(tiny_model.repository().parent.parent, root)
    flip_a_byte(root / tiny_model.REPOSITORY / tiny_model.COMMIT / SHARD)
    with hubs.running(tmp_path, "--root", str(root)) as changed_hub:
        node.hub = changed_hub
        for expected in (digest, ""):
            message = node.refused_fetch(expected_manifest_sha256=expected)
            assert f"instead of {digest}): nothing was replaced" in message
        assert not shards_fetched(changed_hub)
    assert node.is_what_the_hub_has()


def test_a_hub_that_is_gone_stops_nobody_whose_weights_are_there_and_recorded(node: Node) -> None:
    digest = node.fetch()["manifest_sha256"]

    result = node.fetch(endpoint="http://127.0.0.1:9", expected_manifest_sha256=digest)

    assert (result["pass"], result["changed"]) == (True, False)
    assert "does not answer" in result["hub"]
    assert "does not answer" in node.refused_fetch(endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"commit": "main"}, "the model's commit is 'main', 40 hex digits are needed"),
        ({"commit": tiny_model.COMMIT[:-1]}, "40 hex digits are needed"),
        ({"commit": "f" * 40}, f"has no commit {'f' * 40} of {tiny_model.REPOSITORY}"),
        ({"repository": "nodestack/no-such-model"}, "has no model nodestack/no-such-model"),
        ({"repository": "not a name"}, "has no model not a name"),
    ],
)
def test_what_does_not_exist_or_may_move_is_refused_in_one_line(node: Node, asked: dict[str, str], said: str) -> None:
    assert said in node.refused_fetch(**asked)
    assert not node.hub.bodies()


def test_a_token_is_taken_from_its_file_and_shown_nowhere(node: Node, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("hf_right_secret\n")
    wrong.write_text("hf_wrong_secret\n")
    with hubs.running(tmp_path, "--token-file", str(right)) as private:
        node.hub = private
        assert "is gated" in node.refused_fetch()
        message = node.refused_fetch(token_file=str(wrong))
        assert "refuses the token" in message
        node.fetch(token_file=str(right))
    left = [path.read_bytes() for path in (*node.state.rglob("*"), private.log) if path.is_file()]
    assert not [content for content in left if b"secret" in content]
    assert "secret" not in message


@pytest.fixture
def small_disk(node: Node) -> Iterator[Path]:
    volume = node.root.parent
    volume.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(volume)], check=True)
    yield volume
    subprocess.run(["umount", str(volume)], check=True)


def test_a_volume_too_small_is_refused_with_needed_and_free_bytes_and_left_as_it_is(
    node: Node, small_disk: Path
) -> None:
    keepsake = small_disk / "keepsake"
    keepsake.write_bytes(b"x" * 100_000)
    status = os.statvfs(small_disk)

    message = node.refused_fetch()

    shards = sum(path.stat().st_size for path in tiny_model.checkpoint().glob("*.safetensors"))
    assert f"the weights need {shards} bytes more on {node.root}" in message
    assert int(message.split(", ")[1].split()[0]) <= status.f_bavail * status.f_frsize
    assert "make the volume larger than 1 GiB" in message
    assert not shards_fetched(node.hub)
    assert keepsake.stat().st_size == 100_000
