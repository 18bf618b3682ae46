"""Plans side by side on a terminal: those that fit by price, the others with why not."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.catalog.prices import Market
from nodestack.rendering.plan_table import section
from nodestack.rendering.units import count, usd, usd_range, words


class Row(BaseModel):
    """One shape, format and market.

    Attributes:
        shape: The node.
        format: The model's format.
        market: `on_demand` or `spot`.
        fits: Whether nothing refuses it.
        refusals: Why it cannot work, each with its arithmetic.
        tensor_parallel_size: GPUs that share each layer.
        pipeline_parallel_size: Stages of layers.
        kv_tokens: Tokens that the KV cache holds.
        concurrency: Sequences of `max_model_len` held at once.
        max_model_len: Longest sequence in tokens.
        usd_per_hour: The node, or None when no price is known.
        usd_per_million_output_tokens: At best and at worst, or None when no throughput is known.
        throughput: `assumed` or `measured`: what those rest on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: str
    format: str
    market: Market
    fits: bool
    refusals: tuple[str, ...]
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    kv_tokens: int | None = None
    concurrency: float | None = None
    max_model_len: int | None = None
    usd_per_hour: float | None = None
    usd_per_million_output_tokens: tuple[float, float] | None = None
    throughput: str | None = None


def comparison(rows: Sequence[Row]) -> Group:
    """Return rows in the order in which they come, apart by whether they fit."""
    fitting = [row for row in rows if row.fits]
    found: list[RenderableType] = [_fitting(fitting)] if fitting else [Text("Nothing fits.", style="bold red")]
    if kinds := sorted({row.throughput for row in fitting if row.throughput}):
        found.append(
            Text(f"$ a million output tokens: at {' or '.join(kinds)} throughput, best to worst, sorted by worst")
        )
    others: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if not row.fits:
            others.setdefault((row.format, row.refusals[0]), {})[row.shape] = None
    if others:
        found += section("Does not fit", _unfit(others))
    return Group(*found)


def _fitting(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for name in ("node", "format", "market", "TPxPP"):
        table.add_column(name)
    for name in ("sequences at once", "KV tokens", "$ an hour", "$ a M output tokens"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.shape,
            row.format,
            words(row.market),
            f"{row.tensor_parallel_size}x{row.pipeline_parallel_size}",
            f"{row.concurrency:,.1f} of {row.max_model_len or 0:,}" if row.concurrency is not None else "-",
            count(row.kv_tokens) if row.kv_tokens is not None else "-",
            usd(row.usd_per_hour),
            usd_range(row.usd_per_million_output_tokens),
        )
    return table


def _unfit(others: dict[tuple[str, str], dict[str, None]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column()
    for (name, refusal), shapes in others.items():
        table.add_row(name, Text("\n".join(shapes)), Text(refusal))
    return table
