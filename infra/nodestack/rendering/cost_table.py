"""A cost as a block of a terminal: what is paid, for what, and when an API is cheaper."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nodestack.planning.break_even import BreakEven
from nodestack.planning.cost import Cost
from nodestack.planning.cost_tokens import TokenCost
from nodestack.rendering.units import count, percent, usd, usd_range

VERDICTS = {
    "within_reach": "within reach at any of the throughput",
    "at_best": "reached with the best of the throughput only",
    "never": "out of reach: the node costs more at every utilisation",
}


def cost_table(cost: Cost) -> Group:
    """Return what a stack costs."""
    caveats = (Text(f"note: {caveat}") for caveat in cost.caveats)
    return Group(Text(cost.headline), _bills(cost), *(_serving(each) for each in cost.tokens), *caveats)


def break_even_line(even: BreakEven) -> str:
    """Return where node and API cost the same, in one line."""
    if even.required_utilisation is None:
        return "none: the node never serves"
    best, worst = even.required_utilisation
    return (
        f"{even.million_output_tokens:,.0f} M output tokens in {even.hours:,.0f} h beside "
        f"{usd(even.api_usd_per_million_output_tokens)}/M: {percent(best)} to {percent(worst)} of full use, "
        f"{VERDICTS[even.verdict]}"
    )


def bill_rows(cost: Cost) -> list[tuple[str, str]]:
    """Return what is billed, besides tokens, by name."""
    rows = [
        (
            f"node, {cost.market.replace('_', ' ')}",
            f"{usd(cost.usd_per_hour)} an hour, {usd(cost.usd_per_month)} a month",
        )
    ]
    if cost.volume:
        rent = f"{usd(cost.volume.usd_per_month)} a month for {cost.volume.size_gb:,.0f} GB, also without a node"
        rows.append(("volume, and parked", rent))
    if start := cost.time_to_serve:
        stages = [("boot", start.boot_minutes), ("fetch", start.fetch_minutes), ("load", start.load_minutes)]
        told = ", ".join(f"{name} {minutes:.0f}" for name, minutes in stages if minutes is not None)
        rows.append(("time to serve", f"{start.total_minutes:.0f} min ({told}), billed {usd(start.usd)}"))
    if lost := cost.preemptions:
        told = f"{lost.per_day:g} a day, {lost.minutes_lost_each:.0f} min lost each" if lost.per_day else lost.basis
        rows.append(("preemptions", told))
    if run := cost.run:
        told = f"{run.hours:,.0f} h, {run.charged_hours:,.0f} h billed, {run.serving_hours:,.0f} h serving"
        rows.append(("one run", f"{told}: {usd(run.node_usd + run.volume_usd)}"))
    return rows


def token_rows(serving: TokenCost) -> list[tuple[str, str]]:
    """Return what tokens cost at one throughput, by name."""
    throughput = serving.throughput
    rows = [
        (f"{throughput.kind} throughput", f"{count(throughput.low)} to {count(throughput.high)} output tokens an hour"),
        ("  output tokens", f"{usd_range(serving.usd_per_million_output_tokens)} a million"),
        ("  with all that is billed", f"{usd_range(serving.effective_usd_per_million_output_tokens)} a million"),
    ]
    if throughput.kind == "seen":
        rows[0] = ("throughput seen elsewhere", rows[0][1])
        return rows
    return [
        *rows,
        ("  break-even, output alone", break_even_line(serving.break_even_output_only)),
        ("  break-even, all counted", break_even_line(serving.break_even)),
    ]


def _bills(cost: Cost) -> Table:
    return _rows(bill_rows(cost))


def _serving(serving: TokenCost) -> Table:
    return _rows(token_rows(serving))


def _rows(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=26)
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(value))
    return table
