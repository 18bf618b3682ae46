import json
from pathlib import Path

import pytest

from nodestack.provisioning.events import PlayEvent, Verdict, one_line, progress_line, translate

RECORDED = Path(__file__).parent / "recorded"


def verdict(name: str) -> Verdict:
    """Return the verdict on a run of ansible-core 2.19.14 as ansible-runner 2.4 reported it."""
    followed = Verdict()
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        followed.take(translate(json.loads(line)))
    return followed


@pytest.mark.parametrize(
    ("name", "kind", "task", "message"),
    [
        ("assert", "failed", "Refuse a fabric that is not whole", "GPU2-GPU3: expected NV18, saw PIX"),
        ("loop", "failed", "Refuse in a loop", "bad is not wanted"),
        ("tool", "failed", "Run a tool", ""),
        ("unreachable", "unreachable", "Reach out", ""),
    ],
)
def test_a_failure_is_known_by_its_own_words_and_a_tools_output_is_none(
    name: str, kind: str, task: str, message: str
) -> None:
    failure = verdict(name).failure
    assert failure is not None
    assert (failure.kind, failure.role, failure.task, failure.message) == (kind, "gate", task, message)


def test_a_failed_command_tells_its_exit_status() -> None:
    failure = verdict("tool").failure
    assert failure is not None
    assert failure.returncode == 3


def test_wrong_arguments_of_a_role_are_told_all_at_once() -> None:
    failure = verdict("arguments").failure
    assert failure is not None
    assert "missing required arguments: gate_name; argument 'gate_count' is of type str" in failure.message


def test_a_failure_that_is_ignored_is_none() -> None:
    followed = Verdict()
    followed.take(PlayEvent(kind="failed", task="Fail and go on", ignored=True))
    assert followed.failure is None


def test_the_recap_counts_tasks_by_outcome() -> None:
    assert verdict("well").recap == {
        "ok": 7,
        "changed": 3,
        "failures": 0,
        "dark": 0,
        "skipped": 2,
        "rescued": 1,
        "ignored": 1,
    }


def test_seconds_are_counted_per_role_from_its_first_task_to_the_next_roles_first() -> None:
    followed = Verdict()
    for at, role in ((10.0, ""), (11.5, "base"), (12.0, "base"), (14.5, "fabric")):
        followed.take(PlayEvent(kind="task", at=at, role=role, task="Something"))
    followed.take(PlayEvent(kind="recap", at=20.0))
    assert followed.phases == {"play": 1.5, "base": 3.0, "fabric": 5.5}


def test_the_line_names_role_and_task_but_not_ansibles_own_check() -> None:
    followed = Verdict()
    followed.take(PlayEvent(kind="task", role="weights", task="Fetch shards"))
    assert followed.line == "weights · fetch shards"
    followed.take(PlayEvent(kind="task", role="vllm", task="Validating arguments against arg spec 'main'"))
    assert followed.line == "vllm"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"role": "weights", "done_bytes": 3_100_000, "total_bytes": 4_000_000}, "weights, 3.1 of 4.0 MB (78 %)"),
        (
            {"role": "weights", "text": "fetching", "done_bytes": 201_900_000_000, "total_bytes": 403_800_000_000},
            "weights: fetching, 201.9 of 403.8 GB (50 %)",
        ),
        (
            {"role": "weights", "text": "verifying", "done_bytes": 0, "total_bytes": 900},
            "weights: verifying, 0 of 900 bytes (0 %)",
        ),
        ({"role": "vllm", "text": "starting"}, "vllm: starting"),
        ({"role": "vllm", "done_bytes": 3, "total_bytes": 0}, "vllm"),
        ({}, ""),
    ],
)
def test_what_a_long_task_says_becomes_one_line(said: dict[str, object], line: str) -> None:
    assert progress_line(said) == line


def test_a_message_of_many_lines_is_told_in_one() -> None:
    assert one_line("GPU2-GPU3:\n  expected NV18,\r\n saw PIX\n") == "GPU2-GPU3: expected NV18, saw PIX"
    assert len(one_line("x" * 5000)) < 2000
