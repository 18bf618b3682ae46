"""What one check found, and the files that say so to people and to the monitoring."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Check(NamedTuple):
    """One thing that must hold; `pass` in the result.

    Attributes:
        check: What was looked at.
        expected: What had to be seen.
        seen: What was seen.
        passed: Whether that is right.
        remedy: What to do where it is not.
        seconds: How long it took.
    """

    check: str
    expected: str
    seen: str
    passed: bool
    remedy: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as the result has it."""
        return {
            "check": self.check,
            "expected": self.expected,
            "seen": self.seen,
            "pass": self.passed,
            "remedy": "" if self.passed else self.remedy,
            "seconds": round(self.seconds, 3),
        }


def first_failure(checks: Sequence[Check]) -> str:
    """Return the first check that failed, as a sentence with its remedy; "" where none did."""
    for check in checks:
        if not check.passed:
            rest = sum(1 for other in checks if not other.passed) - 1
            more = f"; {rest} more failed" if rest else ""
            return f"{check.check}: expected {check.expected}, seen {check.seen}{more}: {check.remedy}"
    return ""


def write_metrics(path: Path, checks: Sequence[Check], *, at: float, seconds: float) -> None:
    """Write the verdict for the textfile collector of a node exporter.

    Args:
        path: The file; its directory is watched by the exporter.
        checks: What was found.
        at: When, in seconds since the epoch.
        seconds: How long it took.
    """
    lines = [
        *_gauge("nodestack_smoke_pass", "Whether the last smoke test passed.", {"": all(c.passed for c in checks)}),
        *_gauge(
            "nodestack_smoke_check",
            "Whether one check of the last smoke test passed.",
            {f'{{check="{check.check}"}}': check.passed for check in checks},
        ),
        *_gauge("nodestack_smoke_timestamp_seconds", "When the last smoke test ended.", {"": at}),
        *_gauge("nodestack_smoke_seconds", "How long the last smoke test took.", {"": seconds}),
    ]
    replace_file(path, "\n".join(lines) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a file that anybody may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)


def read_file(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds; empty where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _gauge(name: str, meaning: str, values: Mapping[str, float | bool]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for labels, value in values.items():
        yield f"{name}{labels} {float(value):.3f}" if isinstance(value, float) else f"{name}{labels} {int(value)}"
