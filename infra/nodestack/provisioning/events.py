"""What Ansible reports, translated: events into lines of progress, seconds per role, and a verdict fit for a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

PLAY = "play"
"""Stands for the role of tasks that belong to none."""

_TASK_EVENTS = ("playbook_on_task_start", "playbook_on_handler_task_start")
_FAILURES = ("runner_on_failed", "runner_item_on_failed")
# Their messages are sentences of ours; what other modules say is a tool's output and stays in the log.
_SPEAKING_ACTIONS = ("assert", "fail", "validate_argument_spec")
# How Ansible names the task that it puts before each role.
_ARGUMENT_CHECK = "Validating arguments"
_LONGEST_MESSAGE = 1500
_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


class PlayEvent(BaseModel):
    """One event of a play, without anything that only Ansible understands.

    Attributes:
        kind: "task" begins one, "failed" and "unreachable" end one badly, "recap" counts, "end" ends the run; anything
            else is "output".
        at: Seconds since the epoch.
        role: The task's role, or "".
        task: The task's name, or "".
        message: What a failed task says to a person, on one line; "" if it has only a tool's output to show.
        returncode: Exit status of a failed command, of Ansible itself for "end".
        ignored: Whether the play goes on after a failure.
        recap: Number of tasks by outcome (ok, changed, failures, skipped…), for "recap".
        output: What Ansible prints at this point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["task", "failed", "unreachable", "recap", "output", "end"]
    at: float = 0.0
    role: str = ""
    task: str = ""
    message: str = ""
    returncode: int | None = None
    ignored: bool = False
    recap: dict[str, int] = {}
    output: str = ""

    @property
    def place(self) -> str:
        """Where the play is, e.g. "weights · fetch shards"; the role alone while its arguments are checked."""
        role = self.role or PLAY
        return role if self.task.startswith(_ARGUMENT_CHECK) else f"{role} · {_uncapitalised(self.task)}"


def translate(raw: Mapping[str, Any]) -> PlayEvent:
    """Translate one event as ansible-runner hands it over."""
    name = raw.get("event", "")
    data = raw.get("event_data") or {}
    event = PlayEvent(
        kind="output",
        at=datetime.fromisoformat(raw["created"]).timestamp() if raw.get("created") else 0.0,
        role=data.get("role") or "",
        task=data.get("task") or "",
        output=raw.get("stdout") or "",
    )
    if name in _TASK_EVENTS:
        return event.model_copy(update={"kind": "task"})
    if name == "runner_on_unreachable":
        return event.model_copy(update={"kind": "unreachable"})
    if name in _FAILURES:
        result = data.get("res") or {}
        failure = {
            "kind": "failed",
            "message": _message(str(data.get("task_action", "")), result),
            "returncode": result.get("rc"),
            "ignored": bool(data.get("ignore_errors")),
        }
        return event.model_copy(update=failure)
    if name == "playbook_on_stats":
        return event.model_copy(update={"kind": "recap", "recap": _recap(data)})
    return event


class Verdict:
    """Follows a play event by event, and knows at its end what went wrong and how long each role took.

    Attributes:
        line: What is going on, e.g. "weights · fetch shards".
        phases: Seconds per role, `PLAY` for tasks of none.
        recap: Number of tasks by outcome; empty when the play did not end.
        failure: The last failure that was not ignored; it may have been rescued as long as the play has not ended.
        returncode: Exit status of Ansible; None when it did not end by itself.
    """

    def __init__(self) -> None:
        self.line = ""
        self.phases: dict[str, float] = {}
        self.recap: dict[str, int] = {}
        self.failure: PlayEvent | None = None
        self.returncode: int | None = None
        self.last_error = ""
        self._since: tuple[str, float] | None = None

    def take(self, event: PlayEvent) -> None:
        """Take the next event."""
        if event.kind == "task":
            self._count_until(event.at)
            self._since = (event.role or PLAY, event.at)
            self.line = event.place
        elif event.kind in ("failed", "unreachable") and not event.ignored:
            # A loop reports its items first; the summary that follows says less.
            if not (self.failure and self.failure.task == event.task and self.failure.message):
                self.failure = event
        elif event.kind == "recap":
            self._count_until(event.at)
            self._since = None
            self.recap = event.recap
        elif event.kind == "end":
            self.returncode = event.returncode
        if "ERROR" in event.output and event.kind == "output":
            self.last_error = one_line(event.output)

    def _count_until(self, at: float) -> None:
        if self._since is not None:
            role, begun = self._since
            self.phases[role] = round(self.phases.get(role, 0.0) + max(0.0, at - begun), 3)


def progress_line(said: Mapping[str, Any]) -> str:
    """Turn what a long task says about itself into one line.

    >>> progress_line({"role": "weights", "text": "fetching", "done_bytes": 3_100_000, "total_bytes": 4_000_000})
    'weights: fetching, 3.1 of 4.0 MB (78 %)'
    """
    head = ": ".join(str(said[key]) for key in ("role", "text") if said.get(key))
    done, total = said.get("done_bytes"), said.get("total_bytes")
    if not isinstance(done, int) or not isinstance(total, int) or total <= 0:
        return head
    unit, size = next(((unit, size) for unit, size in _UNITS if total >= size), ("bytes", 1))
    digits = 0 if size == 1 else 1
    return f"{head}, {done / size:.{digits}f} of {total / size:.{digits}f} {unit} ({100 * done / total:.0f} %)"


def one_line(text: str) -> str:
    """Return a text with all white space as single blanks, cut to a length that fits a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _message(action: str, result: Mapping[str, Any]) -> str:
    if action.rsplit(".", 1)[-1] not in _SPEAKING_ACTIONS:
        return ""
    problems = result.get("argument_errors")
    return one_line("; ".join(problems) if problems else str(result.get("msg", "")))


def _recap(data: Mapping[str, Any]) -> dict[str, int]:
    outcomes = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")
    return {outcome: sum((data.get(outcome) or {}).values()) for outcome in outcomes}


def _uncapitalised(name: str) -> str:
    return name[:1].lower() + name[1:] if name[1:2].islower() else name
