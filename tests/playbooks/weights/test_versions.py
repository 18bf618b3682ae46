"""Several commits side by side: switching, going back, and what is removed when nobody needs it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from nodestack.clouds.local import tiny_model
from tests import hubs
from tests.playbooks.weights.conftest import PROGRAMS, Node, environment

FIRST, SECOND = tiny_model.COMMIT, tiny_model.NEXT_COMMIT
THIRD, FOURTH = "3" * 40, "4" * 40
SHARD = "model-00002-of-00005.safetensors"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    """A hub with four commits, and a second repository."""
    directory = tmp_path_factory.mktemp("history")
    root = directory / "hub"
    shutil.copytree(tiny_model.repository().parent.parent, root)
    repository = root / tiny_model.REPOSITORY
    for commit in (THIRD, FOURTH):
        shutil.copytree(repository / SECOND, repository / commit)
        (repository / commit / "README.md").write_text(commit)
    shutil.copytree(repository, root / "nodestack/another-model")
    with hubs.running(directory, "--root", str(root)) as running:
        yield running


@pytest.fixture
def hub(long_history: hubs.Hub) -> hubs.Hub:
    long_history.forget()
    return long_history


def versions(node: Node) -> set[str]:
    return {path.name for path in node.model.iterdir()}


def files_of(*commits: str) -> set[str]:
    return {name for commit in commits for name in (commit, f"{commit}.manifest.json")}


def test_a_switch_keeps_the_former_commit_and_says_so(node: Node) -> None:
    assert node.fetch()["former_commit"] == ""

    result = node.fetch(commit=SECOND)

    assert (result["former_commit"], result["freed_bytes"], result["removed"]) == (FIRST, 0, [])
    assert os.readlink(node.root / "former") == f"{node.model.name}/{FIRST}"
    assert versions(node) == files_of(FIRST, SECOND)


def test_going_back_needs_no_hub_and_no_reading_and_the_way_forth_is_as_short(node: Node) -> None:
    digests = {FIRST: node.fetch()["manifest_sha256"], SECOND: node.fetch(commit=SECOND)["manifest_sha256"]}
    node.hub.log.write_text("")

    for commit, other in ((FIRST, SECOND), (SECOND, FIRST), (FIRST, SECOND)):
        result = node.fetch(commit=commit, endpoint=NOWHERE)
        assert (result["changed"], result["fetched_files"], result["former_commit"]) == (True, [], other)
        assert result["hub"].startswith("not needed: this node verified the commit before")
        assert result["manifest_sha256"] == digests[commit]
        assert node.verify().returncode == 0
    assert not node.hub.requests()


def test_what_was_touched_since_is_no_way_back_without_the_hub(node: Node) -> None:
    node.fetch()
    node.fetch(commit=SECOND)
    os.utime(node.final / SHARD)

    assert "does not answer" in node.refused_fetch(endpoint=NOWHERE)
    assert os.readlink(node.root / "current").endswith(SECOND)
    assert node.fetch()["hub"] == "asked"


def test_another_digest_than_the_recorded_one_is_no_way_back(node: Node) -> None:
    node.fetch()
    node.fetch(commit=SECOND)

    said = node.refused_fetch(endpoint=NOWHERE, expected_manifest_sha256="0" * 64)

    digest = json.loads((node.state / "weights-former.json").read_text())["manifest_sha256"]
    assert f"cannot stand in for the hub's: it has digest {digest} instead of the recorded {'0' * 64}" in said


def test_the_third_commit_displaces_the_first_and_only_that(node: Node) -> None:
    node.fetch()
    node.fetch(commit=SECOND)
    (node.model / "notes").mkdir()
    (node.model / "notes/of-somebody").write_text("kept")
    (node.root / "readme").write_text("kept")
    first_bytes = sum(path.stat().st_blocks * 512 for path in node.final.iterdir())

    result = node.fetch(commit=THIRD)

    assert versions(node) == files_of(SECOND, THIRD) | {"notes"}
    assert set(result["removed"]) == {f"{node.model.name}/{name}" for name in files_of(FIRST)}
    assert first_bytes < result["freed_bytes"] < first_bytes + 100_000
    assert (node.root / "readme").exists() and (node.model / "notes/of-somebody").exists()
    assert node.result()["freed_bytes"] == result["freed_bytes"]


def test_beginnings_of_other_commits_and_what_a_cut_off_run_left_go_too(node: Node) -> None:
    node.fetch()
    (node.model / f"{THIRD}.staging").mkdir()
    (node.model / f"{THIRD}.staging" / f"{SHARD}.part").write_bytes(b"x" * 5000)
    (node.model / f"{FOURTH}.removed").mkdir()
    (node.model / f".{THIRD}.manifest.json.4711").write_text("{")
    (node.root / ".current.4711").symlink_to("nowhere")

    assert node.fetch()["removed"] == [], "not a switch"
    node.fetch(commit=SECOND)

    assert versions(node) == files_of(FIRST, SECOND)
    assert {path.name for path in node.root.iterdir()} == {".lock", "current", "former", node.model.name}


def test_another_models_commits_count_as_well(node: Node) -> None:
    node.fetch()
    node.fetch(repository="nodestack/another-model")
    node.fetch(repository="nodestack/another-model", commit=SECOND)

    assert {path.name for path in node.root.iterdir()} == {".lock", "current", "former", "nodestack--another-model"}
    assert node.result()["former_commit"] == FIRST


@pytest.mark.parametrize("how", ["open", "map", "cwd"])
def test_what_a_process_has_open_stays_until_it_is_gone(node: Node, how: str) -> None:
    node.fetch()
    node.fetch(commit=SECOND)
    holds = {
        "open": "f = open(sys.argv[1] + '/config.json')",
        "map": "f = open(sys.argv[1] + '/config.json'); m = mmap.mmap(f.fileno(), 0, prot=1); f.close()",
        "cwd": "os.chdir(sys.argv[1])",
    }[how]
    program = f"import mmap, os, sys; {holds}; print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(node.final)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        result = node.fetch(commit=THIRD)
        assert node.final.is_dir()
        assert result["removed"] == []
        holder.communicate("")

    node.fetch(commit=SECOND)

    assert versions(node) == files_of(SECOND, THIRD)


def test_room_is_made_before_a_commit_is_refused_for_the_lack_of_it(node: Node) -> None:
    volume = node.root.parent
    volume.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=11m", "tmpfs", str(volume)], check=True)
    try:
        node.fetch()
        (node.model / f"{FOURTH}.staging").mkdir()
        (node.model / f"{FOURTH}.staging" / f"{SHARD}.part").write_bytes(b"x" * 4_500_000)

        result = node.fetch(commit=SECOND)

        assert result["removed"] == [f"{node.model.name}/{FOURTH}.staging"]
        assert node.is_what_the_hub_has(SECOND)
        assert node.final.is_dir(), "the former commit is never given up for room"
        assert "bytes more on" in node.refused_fetch(commit=THIRD)
        assert node.final.is_dir()
    finally:
        subprocess.run(["umount", str(volume)], check=True)


def test_a_run_killed_while_it_removes_leaves_nothing_that_looks_whole(node: Node) -> None:
    node.fetch()
    node.fetch(commit=SECOND)
    (node.final / "config.json").unlink()
    node.final.rename(node.model / f"{FIRST}.removed")

    node.fetch(commit=THIRD)
    assert versions(node) == files_of(SECOND, THIRD)
    node.fetch()
    assert node.is_what_the_hub_has()


def forge(node: Node) -> None:
    """Change a shard, and the volume's own record of it so that the two fit."""
    shard = node.final / SHARD
    shard.write_bytes(shard.read_bytes()[::-1])
    path = node.model / f"{FIRST}.manifest.json"
    content = json.loads(path.read_bytes())
    for file in content["files"]:
        if file["path"] == SHARD:
            file["sha256"] = hashlib.sha256(shard.read_bytes()).hexdigest()
    path.write_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def test_a_volume_forged_while_it_had_no_node_is_found_out_by_the_next_one(
    new_node: Callable[[str], Node], hub: hubs.Hub
) -> None:
    first, second = new_node("first"), new_node("second")
    digest = first.fetch()["manifest_sha256"]
    forge(first)
    second.root.parent.parent.mkdir()
    first.root.parent.rename(second.root.parent)

    said = second.refused_fetch(endpoint=NOWHERE, expected_manifest_sha256=digest)
    assert f"instead of the recorded {digest}" in said
    assert second.fetch(expected_manifest_sha256=digest)["fetched_files"] == [SHARD]
    assert second.is_what_the_hub_has()
    assert second.verify().returncode == 0


def test_a_check_says_what_there_is_to_do_and_does_nothing(node: Node) -> None:
    def check(**changes: str) -> bool:
        command = [*node.fetch_command(**changes), "--check"]
        ended = subprocess.run(
            command, cwd=PROGRAMS, env=environment(), capture_output=True, text=True, check=True, timeout=60
        )
        return bool(json.loads(ended.stdout)["changed"])

    assert check() is True
    assert not node.root.exists()
    digest = node.fetch()["manifest_sha256"]
    node.hub.log.write_text("")
    assert (check(), check(expected_manifest_sha256=digest)) == (False, False)
    assert (check(commit=SECOND), check(expected_manifest_sha256="0" * 64)) == (True, True)
    (node.final / "stray").touch()
    assert check() is True
    assert not node.hub.requests()


def test_what_monitoring_reads_is_written_by_each_verification(node: Node) -> None:
    node.fetch()
    metrics = node.state / "metrics/weights.prom"
    assert not metrics.exists()

    node.verify()
    good = metrics.read_text()
    (node.final / SHARD).unlink()
    node.verify()
    bad = metrics.read_text()

    labels = f'{{repository="{tiny_model.REPOSITORY}",commit="{FIRST}"}}'
    total = sum(path.stat().st_size for path in tiny_model.checkpoint().iterdir())
    assert f"nodestack_weights_pass{labels} 1\n" in good
    assert f"nodestack_weights_bytes{labels} {total}\n" in good
    assert f"nodestack_weights_pass{labels} 0\n" in bad
    assert f"nodestack_weights_bytes{labels} 0\n" in bad
    assert "nodestack_weights_verified_timestamp_seconds{" in bad
    assert [path.name for path in metrics.parent.iterdir()] == ["weights.prom"]
    assert oct(metrics.stat().st_mode & 0o777) == "0o644"
