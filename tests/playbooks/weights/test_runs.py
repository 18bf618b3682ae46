"""Runs that are killed, orphaned, or meet each other: what was fetched is kept, and nobody fights."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import hubs
from tests.playbooks.weights.conftest import PROGRAMS, Node, environment

SHARD = "model-00002-of-00005.safetensors"
SLOW = {"path": f"*/{SHARD}", "bytes_per_s": 200_000, "times": 1}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[hubs.Hub]:
    """A hub for one test only: what a killed run left unfinished on it is nobody else's."""
    with hubs.running(tmp_path) as running:
        yield running


def eventually(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what had to come did not come in time")
        time.sleep(0.05)


def part_size(node: Node) -> int:
    part = node.staging / f"{SHARD}.part"
    return part.stat().st_size if part.exists() else 0


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def continued_at(node: Node) -> list[int]:
    ranges = [body["range"] for body in node.hub.bodies() if body["path"].endswith(SHARD) and body["range"]]
    return [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges]


def test_a_killed_run_is_continued_by_the_next_at_the_byte_it_had(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    process = node.start_fetch()
    eventually(lambda: part_size(node) > 100_000)
    process.kill()
    process.communicate()
    had = part_size(node)

    result = node.fetch()

    assert continued_at(node) == [had]
    assert len(result["fetched_files"]) == 1
    assert node.is_what_the_hub_has()


def test_a_run_that_is_asked_to_stop_keeps_what_it_has_and_says_so(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    process = node.start_fetch()
    eventually(lambda: part_size(node) > 50_000)

    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, errors = process.communicate(timeout=20)

    assert time.monotonic() - began < 9
    assert process.returncode == 3
    assert "is kept" in errors
    assert part_size(node) > 50_000


def test_a_run_ends_a_leftover_of_an_earlier_one_and_continues_from_it(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    leftover = node.start_fetch()
    eventually(lambda: part_size(node) > 50_000)

    node.fetch()

    leftover.communicate(timeout=1)
    assert leftover.returncode == 3
    assert continued_at(node)[0] > 50_000
    assert node.is_what_the_hub_has()


def test_a_leftover_that_does_not_react_is_ended_all_the_same(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    leftover = node.start_fetch()
    eventually(lambda: part_size(node) > 50_000)
    leftover.send_signal(signal.SIGSTOP)

    node.fetch()

    leftover.communicate(timeout=1)
    assert leftover.returncode == -signal.SIGKILL
    assert node.is_what_the_hub_has()


def test_a_run_ends_when_whoever_started_it_is_gone(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    starter = "import subprocess, sys; subprocess.run(sys.argv[1:], check=False)"
    parent = subprocess.Popen([sys.executable, "-c", starter, *node.fetch_command()], cwd=PROGRAMS, env=environment())
    eventually(lambda: part_size(node) > 50_000)
    (fetch,) = map(int, Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())

    parent.kill()
    parent.wait()

    eventually(lambda: not runs(fetch), timeout_s=9)
    assert not (node.root / "current").exists()


def test_a_run_ends_when_its_ssh_session_does_not_listen_any_more(node: Node, tmp_path: Path) -> None:
    node.hub.go_wrong(SLOW)
    session = tmp_path / "sshd"
    session.symlink_to(Path(sys.executable).resolve())
    listen_until_told = (
        "import subprocess, sys\n"
        "shell = subprocess.Popen(['sh', '-c', '\"$@\"; :', 'sh', *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "sys.stdin.readline()\n"
        "shell.stdout.close()\n"
        "shell.wait()\n"
    )
    with subprocess.Popen(
        [session, "-c", listen_until_told, *node.fetch_command()],
        cwd=PROGRAMS,
        env=environment(),
        stdin=subprocess.PIPE,
    ) as sshd:
        eventually(lambda: part_size(node) > 50_000)
        began = time.monotonic()
        sshd.communicate(b"\n", timeout=20)

    assert time.monotonic() - began < 3
    assert not (node.root / "current").exists()


def test_progress_tells_how_far_the_fetch_is_and_is_gone_afterwards(node: Node) -> None:
    node.hub.go_wrong(SLOW)
    process = node.start_fetch()
    progress = node.run / "progress.json"
    seen: list[int] = []

    def fetching() -> bool:
        content: dict[str, Any] = json.loads(progress.read_text()) if progress.exists() else {"text": ""}
        if content["text"] == "fetching":
            assert content["role"] == "weights"
            seen.append(content["done_bytes"])
            assert content["done_bytes"] < content["total_bytes"]
        return bool(seen) and seen[-1] > seen[0] > 0

    eventually(fetching)
    assert oct(progress.stat().st_mode & 0o777) == "0o644"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert not progress.exists()


def test_a_result_is_never_half_written(node: Node) -> None:
    node.fetch()

    assert [path.name for path in (node.state / "results").iterdir()] == ["weights.json"]
    assert oct((node.state / "results" / "weights.json").stat().st_mode & 0o777) == "0o644"


def test_others_may_read_the_weights_but_not_change_them(node: Node) -> None:
    previous = os.umask(0o077)
    try:
        node.fetch()
    finally:
        os.umask(previous)

    modes = {oct(path.stat().st_mode & 0o777) for path in Path(node.final).iterdir()}
    assert modes == {"0o644"}
    assert oct(node.final.stat().st_mode & 0o777) == "0o755"
