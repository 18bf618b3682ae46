"""Programs run to their end, tell why they failed, and end with us."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import processes as processes_module
from bootstrap.checkout import SetupError
from bootstrap.processes import Processes

TOOLS = Path(processes_module.__file__).parents[1]


def _eventually(holds: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


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


def test_what_fetches_is_tried_again_and_what_computes_is_not(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes_module, "FETCH_PAUSES_S", (0.01, 0.01))
    third_time = ["sh", "-c", f"echo >>{tmp_path}/tries; test $(wc -l <{tmp_path}/tries) -eq 3 || exit 1"]
    processes.fetch("engine", third_time)
    (tmp_path / "tries").unlink()
    with pytest.raises(SetupError):
        processes.run("engine", third_time)
    assert (tmp_path / "tries").read_text() == "\n"


def test_every_line_is_passed_on_and_logged(tmp_path: Path, processes: Processes) -> None:
    lines: list[str] = []
    processes.run("engine", ["sh", "-c", "echo one; echo two >&2"], on_line=lines.append)
    assert lines == ["one", "two"]
    assert (tmp_path / "logs" / "engine.log").read_text().splitlines()[1:] == ["one", "two"]


def test_a_set_up_killed_outright_takes_its_programs_along(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    sets_up = (
        "from bootstrap.processes import Processes; from pathlib import Path\n"
        f"Processes(Path('{tmp_path}')).run('engine', ['sh', '-c', 'echo $$ >\"{pid}\"; exec sleep 60'])"
    )
    with subprocess.Popen([sys.executable, "-c", sets_up], env={**os.environ, "PYTHONPATH": str(TOOLS)}) as process:
        assert _eventually(lambda: pid.exists() and bool(pid.read_text().strip()))
        process.kill()
    assert _eventually(lambda: _is_gone(int(pid.read_text())))


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
    assert _eventually(lambda: pid.exists() and bool(pid.read_text().strip()))
    processes.stop()
    running.join(20)
    assert not running.is_alive()
    assert failures
    assert _eventually(lambda: _is_gone(int(pid.read_text())))
    with pytest.raises(SetupError, match="another part failed"):
        processes.run("venv", ["true"])
