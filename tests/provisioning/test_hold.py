import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodestack.provisioning import hold


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Mark the tasks of each test in a way of its own: the script ends all others that bear its mark."""
    name = f"NODESTACK_TEST_{uuid.uuid4().hex}"
    monkeypatch.setattr(hold, "MARK", f"{name}=".encode())
    return name


@contextmanager
def task(run: str, *command: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process as a play starts it on a node: marked, in a session of its own."""
    process = subprocess.Popen(
        command, env={hold.MARK.decode().rstrip("="): run, "PATH": os.environ["PATH"]}, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def holder(tmp_path: Path, run: str, wait_s: float) -> "Iterator[subprocess.Popen[str]]":
    """The script as a node runs it, with its directories moved."""
    code = (
        Path(hold.__file__)
        .read_text()
        .replace("/run/nodestack", str(tmp_path))
        .replace("/var/lib/nodestack", str(tmp_path))
        .replace("NODESTACK_RUN=", hold.MARK.decode())
    )
    script = tmp_path / "hold.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, "-u", str(script), run, f"holder of {run}", str(wait_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def heard(process: "subprocess.Popen[str]", key: str) -> object:
    """Return what the holder says about something, waiting for it."""
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        if key in said:
            return said[key]
    pytest.fail(f"it ended without a word about {key}")


def test_tasks_of_other_runs_are_ended_with_their_children_and_nobody_elses() -> None:
    script = "sleep 61 & sleep 62; true"
    with task("left", "sh", "-c", script) as left, task("own", "sleep", "63") as own:
        until(lambda: sorted(hold.leftovers(lambda run: run == "left").values()) == ["sh", "sleep", "sleep"])
        names = hold.stop_leftovers(lambda run: run == "left")
        assert names == ["sh", "sleep"]
        assert left.wait(timeout=5) != 0
        assert own.poll() is None
    assert not hold.leftovers(lambda run: run == "left")


def test_a_package_manager_is_waited_for_and_not_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dpkg = tmp_path / "dpkg"
    dpkg.symlink_to("/bin/sleep")
    with task("left", str(dpkg), "1.2") as left:
        until(lambda: hold.leftovers(lambda run: run == "left") == {left.pid: "dpkg"})
        hold.stop_leftovers(lambda run: run == "left")
        assert left.wait(timeout=5) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == {"packages": ["dpkg"]}


def test_the_lock_is_held_until_the_controller_ends_and_its_tasks_end_with_it(tmp_path: Path) -> None:
    (tmp_path / "applied.json").write_text('{"identity": "i", "document_sha256": "d"}')
    with holder(tmp_path, "first", 0) as first:
        assert heard(first, "applied") == {"identity": "i", "document_sha256": "d"}
        with holder(tmp_path, "second", 0) as second:
            assert heard(second, "busy") == "holder of first"
        with task("first", "sleep", "64") as running:
            until(lambda: running.pid in hold.leftovers(lambda run: run == "first"))
            assert running.poll() is None
            assert first.stdin is not None
            first.stdin.close()
            assert first.wait(timeout=20) == 0
            assert running.wait(timeout=5) != 0
    with holder(tmp_path, "second", 0) as second:
        assert heard(second, "held")


def test_a_run_waits_for_another_and_then_goes_on(tmp_path: Path) -> None:
    with holder(tmp_path, "first", 0) as first:
        assert heard(first, "held")
        with holder(tmp_path, "second", 30) as second:
            assert heard(second, "waiting") == "holder of first"
            assert first.stdin is not None
            first.stdin.close()
            assert heard(second, "held")


def test_what_a_long_task_writes_is_passed_on_and_what_a_former_one_wrote_is_not(tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    progress.write_text('{"role": "old"}')
    with holder(tmp_path, "first", 0) as process:
        assert heard(process, "held")
        written = tmp_path / "new"
        written.write_text('{"role": "weights", "done_bytes": 1, "total_bytes": 2}')
        written.rename(progress)
        assert heard(process, "progress") == {"role": "weights", "done_bytes": 1, "total_bytes": 2}


@pytest.mark.node
def test_tasks_in_a_container_are_another_machines(mark: str) -> None:
    with task("left", "unshare", "--pid", "--fork", "--kill-child", "sleep", "65") as outside:
        until(lambda: Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text() != "")
        inside = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        until(lambda: Path(f"/proc/{inside[0]}/comm").read_text() == "sleep\n")
        assert hold.leftovers(lambda run: run == "left") == {outside.pid: "unshare"}
