"""Progress is live on a terminal, sparse where each line is printed, and never in the way."""

import os
from pathlib import Path

import pytest
from pulumi.runtime.proto.engine_pb2 import LogSeverity

from nodestack.plugin.progress import EngineLog, Throttle, engine_draws_on_terminal
from tests.plugin.engine import log_server


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run_through(*, live: bool, lines: list[tuple[float, str]]) -> list[str]:
    clock, sent = Clock(), list[str]()
    throttle = Throttle(sent.append, live=live, clock=clock)
    for pause_s, text in lines:
        clock.now += pause_s
        throttle(text)
    return sent


def test_a_printed_line_that_differs_in_its_figures_only_comes_every_15_seconds() -> None:
    lines = [(1.0, f"weights: {n} of 60 MB") for n in range(60)]
    assert run_through(live=False, lines=lines) == [f"weights: {n} of 60 MB" for n in (0, 15, 30, 45)]


def test_a_printed_line_that_says_something_new_comes_at_once() -> None:
    lines = [(0.1, "boots"), (0.1, "boots"), (0.1, "role base"), (0.1, "role weights")]
    assert run_through(live=False, lines=lines) == ["boots", "role base", "role weights"]


def test_the_tasks_of_a_role_are_not_printed_one_by_one() -> None:
    lines = [(1.0, "base · a"), (1.0, "base · b"), (1.0, "fabric · a"), (20.0, "fabric · b")]
    assert run_through(live=False, lines=lines) == ["base · a", "fabric · a", "fabric · b"]


def test_the_tasks_of_a_role_are_live_one_by_one() -> None:
    lines = [(0.01, "base · a"), (0.01, "base · b")]
    assert run_through(live=True, lines=lines) == ["base · a", "base · b"]


def test_a_live_line_is_renewed_five_times_a_second_at_most() -> None:
    lines = [(0.0625, f"{n} MB") for n in range(41)]
    assert run_through(live=True, lines=lines) == [f"{n} MB" for n in range(0, 41, 4)]


def test_lines_reach_the_engine_on_the_row_of_their_resource_and_are_not_kept() -> None:
    with log_server() as (log, address):
        EngineLog(address, live=True).reporter("urn:it")("boots")
        assert log.came.wait(5)
    assert [(line.urn, line.message, line.ephemeral) for line in log.lines] == [("urn:it", "boots", True)]


def test_a_warning_stays() -> None:
    with log_server() as (log, address):
        EngineLog(address, live=False).warn("urn:it", "look")
        assert log.came.wait(5)
    assert [(line.severity, line.ephemeral) for line in log.lines] == [(LogSeverity.WARNING, False)]


def test_an_engine_that_is_gone_is_no_error() -> None:
    EngineLog("127.0.0.1:1", live=True).reporter("urn:it")("boots")


def ancestry(proc: Path, engine_output: str) -> None:
    """Lay out /proc of a plugin (30) below a language host (20) below the engine (10)."""
    for process_id, name, parent in ((30, "python) x", 20), (20, "python", 10), (10, "pulumi", 1)):
        (proc / str(process_id) / "fd").mkdir(parents=True)
        (proc / str(process_id) / "stat").write_text(f"{process_id} ({name}) S {parent} 0 0")
    (proc / "10" / "fd" / "1").symlink_to(engine_output)


@pytest.mark.parametrize(("output", "draws"), [("/dev/pts/3", True), ("pipe:[77]", False), ("/var/log/up", False)])
def test_what_counts_is_where_the_engine_above_writes_to(tmp_path: Path, output: str, draws: bool) -> None:
    ancestry(tmp_path, output)
    assert engine_draws_on_terminal(30, tmp_path) is draws


def test_without_an_engine_above_lines_are_printed() -> None:
    assert engine_draws_on_terminal(os.getpid()) is False
