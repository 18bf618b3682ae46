"""A measurement on a terminal: figures beside those it was held against, what they cost, and how to feed them back."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.rendering.plan_table import bullets, grid, section
from nodestack.rendering.units import count, percent

NAMES = {
    "output_tokens_per_second": ("output tokens", "tokens/s"),
    "ttft_p50_ms": ("time to first token, p50", "ms"),
    "ttft_p99_ms": ("time to first token, p99", "ms"),
    "inter_token_p50_ms": ("inter-token latency, p50", "ms"),
    "inter_token_p99_ms": ("inter-token latency, p99", "ms"),
}
"""Figures as people call them, and their units."""


class Row(BaseModel):
    """One figure.

    Attributes:
        figure: Its name in the record.
        now: Its value.
        before: That of the run it is held against; None where there is none, or it did not become worse.
        worse_by: Share by which it is worse; None where that is within its tolerance.
        tolerance: Share by which it may be worse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    now: float
    before: float | None = None
    worse_by: float | None = None
    tolerance: float | None = None


def bench_table(headline: str, facts: Sequence[tuple[str, str]], rows: Sequence[Row], notes: Sequence[str]) -> Group:
    """Return a measurement.

    Args:
        headline: What was measured, and whether it is worse than before.
        facts: Under which conditions, name and value.
        rows: The figures.
        notes: What to make of it.
    """
    about = grid("left", "left")
    for name, value in facts:
        about.add_row(Text(name, style="dim"), Text(value))
    parts: list[RenderableType] = [Text(headline, style="bold"), *section("Measured", _figures(rows))]
    parts += section("Under these conditions", about)
    return Group(*parts, *section("What to make of it", bullets(notes)))


def _figures(rows: Sequence[Row]) -> Table:
    # An empty column would take its room from the others.
    some_worse = any(row.worse_by is not None for row in rows)
    table = grid("left", "right", "left", *(["left"] if some_worse else []))
    for row in rows:
        name, unit = NAMES[row.figure]
        cells: list[RenderableType] = [Text(name), Text(_number(row.now)), Text(unit)]
        if row.worse_by is not None and row.before is not None:
            allowed = percent(row.tolerance or 0)
            worse = f"{percent(row.worse_by)} worse than {_number(row.before)}, {allowed} are tolerated"
            cells.append(Text(worse, style="bold red"))
        table.add_row(*cells)
    return table


def _number(value: float) -> str:
    return count(value) if value >= 1000 else f"{value:.1f}"  # noqa: PLR2004 - from here digits after the point say nothing
