"""What gates found, on a terminal: each check with what was expected and seen, and what to do about it."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.rendering.plan_table import bullets, section
from nodestack.rendering.units import plural


class GateCheck(BaseModel):
    """One thing that a gate looked at.

    Attributes:
        check: What was looked at.
        expected: What had to be seen.
        seen: What was seen.
        passed: Whether that is right; `pass` in JSON.
        remedy: What to do; empty where nothing is wrong.
        seconds: How long it took; null where nobody measured it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    expected: str | int | float | bool | None
    seen: str | int | float | bool | None
    passed: bool
    remedy: str = ""
    seconds: float | None = None


class Gate(BaseModel):
    """A gate's verdict.

    Attributes:
        gate: Its name.
        ran: Whether it ran; one that failed keeps those after it from running.
        checks: What it looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    ran: bool
    checks: tuple[GateCheck, ...] = ()


def gates_table(headline: str, gates: Sequence[Gate]) -> Group:
    """Return verdicts: the headline, each gate's checks, and at the end what to do."""
    parts: list[RenderableType] = [Text(headline, style="bold")]
    for gate in gates:
        parts += section(gate.gate, _checks(gate) if gate.ran else Text("not run"))
    remedies = [f"{check.check}: {check.remedy}" for gate in gates for check in gate.checks if check.remedy]
    if remedies:
        parts += section("What to do", bullets(remedies))
    return Group(*parts)


def summary(gates: Sequence[Gate]) -> str:
    """Return how many checks passed, in a few words.

    >>> summary([Gate(gate="smoke", ran=False)])
    'smoke: not run'
    """
    return "; ".join(
        f"{gate.gate}: {sum(check.passed for check in gate.checks)} of {plural(len(gate.checks), 'check')} passed"
        if gate.ran
        else f"{gate.gate}: not run"
        for gate in gates
    )


def _checks(gate: Gate) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "check", "expected", "seen"):
        table.add_column(name, header_style="dim", overflow="fold")
    table.add_column("s", header_style="dim", justify="right")
    for check in gate.checks:
        mark = Text("ok", style="green") if check.passed else Text("FAIL", style="bold red")
        spent = "" if check.seconds is None else f"{check.seconds:.1f}"
        table.add_row(mark, check.check, str(check.expected), str(check.seen), spent)
    return table
