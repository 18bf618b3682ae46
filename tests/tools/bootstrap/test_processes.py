"""Programs run to their end, tell why they failed, and end with us."""

import os
import threading
import time
from pathlib import Path

import pytest

from bootstrap.checkout import SetupError
from bootstrap.processes import Processes


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_failure_names_the_part_its_last_words_and_the_log(tmp_path: Path, processes: Processes) -> None:
    with pytest.raises(
        SetupError, match=rf"venv: sh failed \(3\): no such lock \(all of it: {tmp_path}/logs/venv.log\)"
    ):
        processes.run("venv", ["sh", "-c", "echo no such lock >&2; exit 3"])


def test_every_line_is_passed_on_and_logged(tmp_path: Path, processes: Processes) -> None:
    lines: list[str] = []
    processes.run("engine", ["sh", "-c", "echo one; echo two >&2"], on_line=lines.append)
    assert lines == ["one", "two"]
    assert (tmp_path / "logs" / "engine.log").read_text().splitlines()[1:] == ["one", "two"]


def test_stopping_ends_the_whole_family_and_starts_no_more(tmp_path: Path, processes: Processes) -> None:
    pid = tmp_path / "pid"
    failures: list[Exception] = []

    def _run() -> None:
        try:
            processes.run("engine", ["sh", "-c", f"sleep 60 & echo $! >'{pid}'; wait"])
        except SetupError as error:
            failures.append(error)

    running = threading.Thread(target=_run)
    running.start()
    deadline = time.monotonic() + 20
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    processes.stop()
    running.join(20)
    assert not running.is_alive()
    assert failures
    assert _is_gone(int(pid.read_text()))
    with pytest.raises(SetupError, match="another part failed"):
        processes.run("venv", ["true"])
