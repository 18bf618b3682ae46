"""Plans side by side on a terminal: those that fit by price, the others with why not."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.catalog.prices import Market
from nodestack.rendering.plan_table import section
from nodestack.rendering.units import count, times, usd, usd_range


class Row(BaseModel):
    """One shape, format and market; the fields are those of the plan and its cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: str
    format: str
    market: Market
    fits: bool
    refusals: tuple[str, ...]
    tensor_parallel_size: int
    pipeline_parallel_size: int
    kv_tokens: int | None
    concurrency: float | None
    max_model_len: int
    usd_per_hour: float | None
    usd_per_million_output_tokens: tuple[float, float] | None
    throughput: str | None


def comparison(rows: Sequence[Row]) -> Group:
    """Return rows in the order in which they come, apart by whether they fit."""
    fitting = [row for row in rows if row.fits]
    found: list[RenderableType] = [_fitting(fitting)] if fitting else [Text("Nothing fits.", style="bold red")]
    others = {(row.shape, row.format): row.refusals for row in rows if not row.fits}
    if others:
        found += section("Does not fit", _unfit(others))
    return Group(*found)


def _fitting(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("node", "left"),
        ("format", "left"),
        ("market", "left"),
        ("TPxPP", "left"),
        ("sequences at once", "right"),
        ("KV tokens", "right"),
        ("$ an hour", "right"),
        ("$ a million output tokens", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.shape,
            row.format,
            row.market.replace("_", " "),
            f"{row.tensor_parallel_size}x{row.pipeline_parallel_size}",
            f"{times(row.concurrency)} of {row.max_model_len // 1024}k" if row.concurrency is not None else "-",
            count(row.kv_tokens) if row.kv_tokens is not None else "-",
            usd(row.usd_per_hour),
            usd_range(row.usd_per_million_output_tokens) if row.throughput else "no throughput known",
        )
    return table


def _unfit(others: dict[tuple[str, str], tuple[str, ...]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column()
    for (shape, name), refusals in others.items():
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        table.add_row(shape, name, Text(f"{refusals[0]}{more}"))
    return table
