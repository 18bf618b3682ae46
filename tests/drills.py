"""Run drills as `make qualify` does: an estimate, what passed is not run again, cases as a table, a line of figures.

A pytest plugin: `pytest -p tests.drills`. What passed is remembered under .nodestack/qualify by the state of the tree,
so that an interrupted run goes on where it was, and a changed tree starts over.
"""

import hashlib
import json
import subprocess
from collections.abc import Generator, Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / ".nodestack" / "qualify"
MEASURED = Path(__file__).with_name("drill_seconds.json")
"""What each drill took once, with date and machine; what it takes here is learned as it runs."""
TYPICAL_S = {"e2e": 60.0, "node": 30.0, "vllm": 60.0, "qualify": 60.0}
"""What a drill takes of which nothing is known, by its markers; one without any is a test of a fraction of a second."""
TYPICAL_TEST_S = 0.3
_COUNTS = ("leaked", "lost", "bought twice")
"""Figures of a case in the table of cases."""


class Drills:
    """What is known of each drill: whether it passed on this tree, how long it took, what it measured."""

    def __init__(self, tree: str) -> None:
        self.path = DIRECTORY / f"{tree}.json"
        self.durations_path = DIRECTORY / "durations.json"
        self.passed: dict[str, dict[str, Any]] = _load(self.path)
        self.collected: set[str] = set()
        self.durations: dict[str, float] = _load(MEASURED)["seconds"] | _load(self.durations_path)

    def record(self, name: str, seconds: float, figures: dict[str, Any]) -> None:
        """Remember that a drill passed."""
        self.passed[name] = figures
        self.durations[name] = round(seconds, 1)
        _store(self.path, self.passed)
        _store(self.durations_path, self.durations)

    def estimate_s(self, items: list[pytest.Item]) -> float:
        """Seconds that drills will take, from what they took before."""
        return sum(self.durations.get(item.nodeid, _typical_s(item)) for item in items)


def _typical_s(item: pytest.Item) -> float:
    return max((TYPICAL_S.get(marker.name, TYPICAL_TEST_S) for marker in item.iter_markers()), default=TYPICAL_TEST_S)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let figures that were measured before the drills join the closing line."""
    parser.addoption("--figures", action="append", default=[], metavar="FILE", help="JSON of figures for the last line")


def pytest_configure(config: pytest.Config) -> None:
    """Begin where the last run on this tree ended."""
    config.stash[_KEY] = Drills(_tree())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out modules that passed as a whole: the tests of one module build on each other."""
    drills = config.stash[_KEY]
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    todo: list[pytest.Item] = []
    for tests in modules.values():
        independent = all(item.get_closest_marker("independent") for item in tests)
        open_ones = [item for item in tests if item.nodeid not in drills.passed]
        todo += open_ones if independent else tests if open_ones else []
    drills.collected = {item.nodeid for item in items}
    done = [item for item in items if item not in todo]
    if done:
        config.hook.pytest_deselected(items=done)
    items[:] = todo
    minutes = drills.estimate_s(todo) / 60
    print(f"\n{len(todo)} drills to run, {len(done)} passed before on this tree; about {minutes:.0f} minutes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Remember each drill as it passes."""
    report = yield
    if report.when == "call" and report.passed:
        item.config.stash[_KEY].record(item.nodeid, report.duration, dict(item.user_properties))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Call it well when all passed before."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash[_KEY].passed:
        session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End with one line of figures."""
    drills = config.stash[_KEY]
    failed = len(_failed(terminalreporter))
    passed = [measured for name, measured in drills.passed.items() if name in drills.collected]
    for line in case_table(drills.passed, drills.collected, [report.nodeid for report in _failed(terminalreporter)]):
        terminalreporter.write_line(line)
    figures = _together(passed)
    for path in config.getoption("--figures"):
        figures |= _load(Path(path))
    shown = "".join(f", {name} {value}" for name, value in figures.items())
    terminalreporter.write_line(f"drills: {len(passed)} passed, {failed} failed{shown}")


def case_table(passed: Mapping[str, dict[str, Any]], collected: Set[str], failed: Iterable[str]) -> list[str]:
    """Return the cases of the matrices as the lines of a table, by module; none where there were no cases.

    Args:
        passed: Figures of every drill that passed, by its name.
        collected: Names of the drills that were asked for; those that passed earlier are among them.
        failed: Names of the drills that failed.
    """
    with_cases = {name for name in collected if "cases" in passed.get(name, {})}
    modules = {name.partition("::")[0] for name in with_cases}
    failed = {name for name in failed if name.partition("::")[0] in modules}
    lines: list[str] = []
    for module in sorted(modules):
        rows = [(name, passed[name], "got through") for name in with_cases - failed if name.startswith(f"{module}::")]
        rows += [(name, {}, "FAILED") for name in failed if name.startswith(f"{module}::")]
        lines += ["", module, " | ".join(("case", "outcome", *_COUNTS)), " | ".join(["---"] * (2 + len(_COUNTS)))]
        lines += sorted(
            " | ".join((_case(name), outcome, *(str(figures.get(count, "?")) for count in _COUNTS)))
            for name, figures, outcome in rows
        )
    return lines


def _case(name: str) -> str:
    """Return what a case calls itself: its parameters, or its name where it has none."""
    test, _, parameters = name.partition("::")[2].partition("[")
    return parameters.removesuffix("]") or test.removeprefix("test_").replace("_", " ")


def _failed(terminalreporter: Any) -> list[Any]:
    return [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]


def _together(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all figures; counts of one name, which many drills have, are added up."""
    figures: dict[str, Any] = {}
    for one in measured:
        for name, value in one.items():
            before = figures.get(name)
            figures[name] = before + value if isinstance(before, int) and isinstance(value, int) else value
    return figures


def _tree() -> str:
    """Name the state of what is tracked or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    digest = hashlib.sha256()
    for name in sorted(filter(None, listed.split(b"\0"))):
        path = ROOT / name.decode()
        if path.is_file():
            digest.update(name + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _store(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(path)


_KEY = pytest.StashKey[Drills]()
