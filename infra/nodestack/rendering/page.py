"""A plan as one page of HTML that loads nothing: plots, tables and sources, for light and dark, wide and narrow."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from nodestack.catalog.measurements import Start
from nodestack.planning.break_even import BreakEven
from nodestack.planning.cost_tokens import TokenCost
from nodestack.planning.result import Plan
from nodestack.rendering import charts, cost_table, memory_bar, units
from nodestack.rendering.plan_table import shell_lines, sources

SHARES = tuple(share / 100 for share in range(5, 101))


@dataclass(frozen=True)
class Logged:
    """What an engine logged, and plans for the very same settings.

    Attributes:
        start: What was logged.
        estimated: The plan with the memory that it estimates itself.
        given: The plan with the memory that was logged.
    """

    start: Start
    estimated: Plan
    given: Plan


@dataclass(frozen=True)
class Figure:
    """One plot in two sizes.

    Attributes:
        alt: What it shows, for who cannot see it.
        wide: For screens with room.
        narrow: For phones.
    """

    alt: str
    wide: str
    narrow: str


def page(plan: Plan, logged: Sequence[Logged]) -> str:
    """Return the page of a plan.

    Args:
        plan: What is told.
        logged: Starts of engines with the same model, format and node, for comparison.
    """
    environment = Environment(
        loader=PackageLoader("nodestack.rendering", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": units.words, "json": _json}
    return environment.get_template("plan.html.j2").render(
        plan=plan,
        logged=logged,
        memory=_memory(plan),
        parts=memory_bar.parts(plan.memory_per_rank) if plan.memory_per_rank else (),
        concurrency=_concurrency(plan, logged),
        cost=_cost(plan),
        bills=cost_table.bill_rows(plan.cost),
        token_rows=[row for each in plan.cost.tokens for row in cost_table.token_rows(each)],
        serve=shell_lines(plan.serve_command),
        sources=sources(plan),
        units=units,
        side_by_side=[row for each in logged for row in _side_by_side(each)],
    )


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _memory(plan: Plan) -> Figure | None:
    rank = plan.memory_per_rank
    if rank is None:
        return None
    told = ", ".join(f"{part.name} {units.gib(part.size_bytes)}" for part in memory_bar.parts(rank))
    return Figure(
        f"Bar of {units.gib(rank.visible_bytes)} of GPU memory by part: {told}",
        charts.memory_bar(rank, charts.WIDE),
        charts.memory_bar(rank, charts.NARROW),
    )


def _concurrency(plan: Plan, logged: Sequence[Logged]) -> Figure | None:
    kv, naive = plan.kv, plan.naive
    if kv is None or not kv.tokens:
        return None
    points = [(held.length, held.concurrency) for held in kv.by_length if held.concurrency > 0]
    lines = [charts.Line("this plan", "ours", points)]
    if naive and naive.concurrency > 0:
        estimate = [(length, naive.concurrency * kv.max_model_len / length) for length, _ in points]
        lines.append(charts.Line("naive estimate", "naive", estimate, dashed=True))
    for each in logged:
        start = each.start
        name = f"logged, {units.count(start.max_num_batched_tokens)} batched tokens"
        lines.append(charts.Line(name, "measured", [(start.max_model_len, start.concurrency)], marked=True))
    told = ", ".join(f"{units.times(concurrency)} at {units.count(length)} tokens" for length, concurrency in points)
    alt = f"Sequences held at once against their length. This plan: {told}."
    return Figure(alt, charts.concurrency_plot(lines, charts.WIDE), charts.concurrency_plot(lines, charts.NARROW))


def _cost(plan: Plan) -> Figure | None:
    known = [each for each in plan.cost.tokens if each.effective_usd_per_million_output_tokens]
    used = next((each for each in known if each.throughput.kind == plan.cost.throughput_used), None)
    if used is None:
        return None
    lines = [line for each in known for line in _cost_lines(each, plan.cost.utilisation)]
    api = used.break_even.api_usd_per_million_output_tokens
    marks = [charts.Mark(f"API, {units.usd(api)}", "ink", y=api), *_break_even_marks(used.break_even)]
    even = cost_table.break_even_line(used.break_even)
    alt = f"Cost of a million output tokens against utilisation. Break-even: {even}."
    return Figure(
        alt,
        charts.cost_plot(lines, marks, charts.WIDE, api * 3),
        charts.cost_plot(lines, marks, charts.NARROW, api * 3),
    )


def _cost_lines(tokens: TokenCost, utilisation: float) -> Iterator[charts.Line]:
    kind = tokens.throughput.kind
    colour = {"assumed": "ours", "measured": "measured", "seen": "naive"}[kind]
    for name, usd in zip(("at best", "at worst"), tokens.effective_usd_per_million_output_tokens or (), strict=False):
        points = [(share, usd * utilisation / share) for share in SHARES]
        yield charts.Line(f"{kind} throughput, {name}", colour, points, dashed=name == "at worst")


def _break_even_marks(even: BreakEven) -> Iterator[charts.Mark]:
    for name, share in zip(("best", "worst"), even.required_utilisation or (), strict=False):
        if share <= 1:
            yield charts.Mark(f"break-even at {name}, {units.percent(share)}", "kv", x=share)


def _side_by_side(logged: Logged) -> Iterator[tuple[str, ...]]:
    """Yield rows: who says so, memory of the cache on a GPU, tokens, sequences, how far off these are."""
    start, naive = logged.start, logged.given.naive
    if naive:
        memory = units.gib(naive.headroom_bytes / start.tensor_parallel_size)
        yield _against(start, "naive estimate", memory, naive.concurrency * start.max_model_len, naive.concurrency)
    for name, plan in (("this planner", logged.estimated), ("this planner, memory as logged", logged.given)):
        if plan.kv:
            yield _against(start, name, units.gib(plan.kv.bytes_per_rank), plan.kv.tokens, plan.kv.concurrency)
    yield "logged", units.gib(start.kv_bytes_per_gpu), units.count(start.tokens), units.times(start.concurrency), ""


def _against(start: Start, name: str, memory: str, tokens: float, concurrency: float) -> tuple[str, ...]:
    off = f"{(tokens / start.tokens - 1) * 100:+.2f} %"
    return name, memory, units.count(tokens), units.times(concurrency), off
