"""A file of trace lengths: read once, and its 95th percentile taken."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

SHOWN = 3


def resolve(values: Mapping[str, Any], directory: Path) -> tuple[list[str], dict[str, Any]]:
    """Return problems, and the values with the file of trace lengths replaced by its percentile.

    Args:
        values: Settings by section, not validated yet.
        directory: Where the file's path is relative to.
    """
    resolved = dict(values)
    workload = resolved.get("workload")
    if not isinstance(workload, Mapping) or "trace_length_p95" in workload:
        return [], resolved
    name = workload.get("trace_lengths_file")
    if not isinstance(name, str):
        return [], resolved
    problems, lengths = _read(directory / name)
    if not problems:
        rest = {key: value for key, value in workload.items() if key != "trace_lengths_file"}
        resolved["workload"] = rest | {"trace_length_p95": percentile_95(lengths)}
    return [f"nodestack:workload.trace_lengths_file is {name!r}: {problem}" for problem in problems], resolved


def percentile_95(lengths: list[int]) -> int:
    """Return the smallest length that 95 % of all lengths do not exceed (nearest rank).

    >>> percentile_95(list(range(1, 101)))
    95
    """
    return sorted(lengths)[ceil(0.95 * len(lengths)) - 1]


def _read(path: Path) -> tuple[list[str], list[int]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [f"it cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"], []
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    wrong = [f"line {number} is {line!r}" for number, line in numbered if not (line.isdecimal() and int(line) > 0)]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        return [f"{', '.join(wrong[:SHOWN])}{more}: each line must be one length in tokens, a whole number above 0"], []
    if not numbered:
        return ["it has no lengths: each line must be one length in tokens"], []
    return [], [int(line) for _, line in numbered]
