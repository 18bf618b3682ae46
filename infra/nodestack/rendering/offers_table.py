"""What clouds offer on a terminal: what fits, cheapest first, and how many of the others fail for which reason."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.catalog.prices import Market
from nodestack.rendering.plan_table import section
from nodestack.rendering.units import count, plural, usd, usd_range, words

SHOWN = 25
_PLACES = 3


class Row(BaseModel):
    """One offer, and what the plan makes of it.

    Attributes:
        cloud: Kind of the cloud.
        shape: The node of the catalogue that it would be.
        offer_id: The cloud's id.
        provider: Who runs the machine.
        region: Where it stands.
        gpu: The cloud's own name of the GPU model.
        gpu_count: GPUs.
        interconnect: Board or link of the GPUs; empty where the cloud does not say.
        market: `on_demand` or `spot`.
        usd_per_hour: The whole machine.
        available: Whether the cloud claims to have one; only an order tells.
        minimum_runtime_minutes: It cannot be deleted earlier; null where none is known.
        fits: Whether nothing speaks against ordering it.
        reasons: What does: the plan's refusals, and in which ways the offer is not what is asked for.
        model: The model that is planned; null where only machines are asked for.
        format: Its format.
        max_model_len: Longest sequence in tokens.
        concurrency: Sequences of `max_model_len` held at once.
        kv_tokens: Tokens that the KV cache holds.
        usd_per_million_output_tokens: At best and at worst at this price, or null when no throughput is known.
        throughput: `assumed` or `measured`: what those rest on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str
    shape: str
    offer_id: str
    provider: str
    region: str
    gpu: str
    gpu_count: int
    interconnect: str
    market: Market
    usd_per_hour: float
    available: bool
    minimum_runtime_minutes: int | None
    fits: bool
    reasons: tuple[str, ...]
    model: str | None = None
    format: str | None = None
    max_model_len: int | None = None
    concurrency: float | None = None
    kv_tokens: int | None = None
    usd_per_million_output_tokens: tuple[float, float] | None = None
    throughput: str | None = None


def offers_table(rows: Sequence[Row], unsold: Sequence[str]) -> Group:
    """Return rows in the order in which they come, apart by whether they fit.

    Args:
        rows: All offers.
        unsold: Shapes that the cloud does not offer at all.
    """
    fitting = [row for row in rows if row.fits]
    found: list[RenderableType] = []
    if fitting:
        found += [Text(_title(fitting)), _fitting(fitting[:SHOWN])]
        if len(fitting) > SHOWN:
            found.append(Text(f"and {plural(len(fitting) - SHOWN, 'dearer one')}: --json has them all"))
        found.append(Text("stock: what the cloud claims, only an order tells; minimum: it is billed for that long"))
        if kinds := sorted({row.throughput for row in fitting if row.throughput}):
            found.append(Text("sequences: of that many tokens each, held at once"))
            found.append(
                Text(f"$ a M output: a million output tokens at {' or '.join(kinds)} throughput, best to worst")
            )
    else:
        found.append(Text("Nothing fits.", style="bold red"))
    others: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if not row.fits:
            others.setdefault((row.shape, row.reasons[0]), []).append(row)
    if others:
        found += section("Does not fit", _unfit(others))
    if unsold:
        found += section("Not offered at all", Text(", ".join(unsold)))
    return Group(*found)


def _title(rows: Sequence[Row]) -> str:
    first = rows[0]
    model = f" for {first.model} {'or '.join(sorted({row.format or '' for row in rows}))}" if first.model else ""
    return f"{plural(len(rows), 'offer')} of {first.cloud}{model}, {words(first.market)}, cheapest first:"


def _fitting(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("$ an hour", justify="right", no_wrap=True)
    for name in ("node", "provider", "region"):
        table.add_column(name, overflow="fold")
    table.add_column("stock")
    table.add_column("minimum", justify="right", no_wrap=True)
    planned = any(row.model for row in rows)
    for name in ("sequences", "$ a M output") if planned else ():
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        minimum = "-" if row.minimum_runtime_minutes is None else f"{row.minimum_runtime_minutes} min"
        held = "-" if row.concurrency is None else f"{row.concurrency:,.1f} of {count(row.max_model_len or 0)}"
        figures = (held, usd_range(row.usd_per_million_output_tokens)) if planned else ()
        available = "yes" if row.available else "no"
        table.add_row(usd(row.usd_per_hour), row.shape, row.provider, row.region, available, minimum, *figures)
    return table


def _unfit(others: dict[tuple[str, str], list[Row]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column()
    for (shape, reason), rows in others.items():
        places = list(dict.fromkeys(f"{row.provider} {row.region}" for row in rows))
        more = f" and {len(places) - _PLACES} more places" if len(places) > _PLACES else ""
        cheapest = usd(min(row.usd_per_hour for row in rows))
        table.add_row(
            shape,
            f"{len(rows)} from {cheapest}",
            Text(f"{reason} ({', '.join(places[:_PLACES])}{more})"),
        )
    return table
