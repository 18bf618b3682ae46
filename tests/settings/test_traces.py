"""A file of trace lengths: its percentile counts, and whatever is wrong with it is said with the line."""

import doctest
from pathlib import Path

import pytest

from nodestack.errors import SettingsError
from nodestack.settings import Request, traces, validate

ASKED = {
    "node": {"shape": "8x-h100-sxm5"},
    "model": {"name": "trinity-large-thinking", "format": "fp8-block"},
    "engine": {"version": "0.23.0"},
    "workload": {"trace_lengths_file": "traces.txt"},
}


def percentile(directory: Path, text: str | bytes) -> int | None:
    (directory / "traces.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return validate(Request, ASKED, None, directory, "the request's settings").workload.trace_length_p95


def test_the_percentile_takes_the_files_place(tmp_path: Path) -> None:
    assert percentile(tmp_path, "\n".join(str(100 * number) for number in range(1, 101)) + "\n\n") == 9500
    assert percentile(tmp_path, "8000") == 8000


def test_the_docstring_example_holds() -> None:
    failures, tried = doctest.testmod(traces)
    assert tried and not failures


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("100\nmany\n-3\n", "line 2 is 'many', line 3 is '-3': each line must be one length in tokens"),
        ("a\nb\nc\nd\ne", "line 3 is 'c' and 2 more"),
        ("1.5", "line 1 is '1.5'"),
        ("", "it has no lengths"),
        (b"\xff\xfe", "it cannot be read: it is no text"),
    ],
)
def test_a_file_of_something_else_is_refused_with_its_lines(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        percentile(tmp_path, text)
    assert "nodestack:workload.trace_lengths_file is 'traces.txt'" in str(refusal.value)
    assert said in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file or directory"):
        validate(Request, ASKED, None, tmp_path, "the request's settings")
