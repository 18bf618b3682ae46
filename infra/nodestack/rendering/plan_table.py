"""A plan as a page of a terminal: 100 columns, no colour but where there is a terminal."""

import json
import shlex
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodestack.planning.result import KvCache, NaiveEstimate, Plan, RankBudget
from nodestack.planning.service_level import ServiceLevel
from nodestack.rendering import cost_table
from nodestack.rendering.memory_bar import extent_bytes, parts, text_bar
from nodestack.rendering.units import count, gb, gib, plural, times

BAR_WIDTH = 56


def plan_table(plan: Plan) -> Group:
    """Return everything a plan says: verdict and refusals first, where each number comes from last."""
    found: list[RenderableType] = [_asked(plan), *_verdict(plan)]
    if plan.memory_per_rank:
        found += section("Memory of the tightest GPU", _memory(plan.memory_per_rank))
    found += section("KV cache", _cache(plan.kv, plan.naive))
    found += section("Service level", _service_level(plan.service_level))
    found += section("Options", _options(plan))
    found += section("Serve", Text(shell_lines(plan.serve_command), no_wrap=True, overflow="ignore"))
    found += section("Cost", cost_table.cost_table(plan.cost))
    found += section("Sizes", _sizes(plan))
    if plan.warnings:
        found += section("Warnings", bullets(plan.warnings))
    found += section("Sources", bullets(sources(plan)))
    return Group(*found)


def sources(plan: Plan) -> list[str]:
    """Return where a plan's numbers come from."""
    cost = plan.cost
    found = {
        "licence": plan.licence,
        "weights": f"{plan.repository} at {plan.commit or 'no pinned commit'}",
        "tightest GPU": plan.memory_per_rank.basis if plan.memory_per_rank else None,
        "cost": cost.basis,
        "volume": cost.volume.basis if cost.volume else None,
        "time to serve": cost.time_to_serve.basis if cost.time_to_serve else None,
        "billing": cost.run.basis if cost.run else None,
    }
    throughput = (
        f"{each.throughput.kind} throughput: {each.throughput.source}, {each.throughput.date}" for each in cost.tokens
    )
    others = (f"{name}: {text}" for name, text in plan.sources.items())
    of_user = (f"yours: {entry}" for entry in plan.overridden)
    return [*(f"{name}: {text}" for name, text in found.items() if text), *throughput, *others, *of_user]


def section(title: str, body: RenderableType) -> list[RenderableType]:
    """Return a body under its title."""
    return [Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2), expand=False)]


def grid(*columns: str) -> Table:
    """Return an empty table without lines; columns are `left` or `right`."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(justify="right" if column == "right" else "left", overflow="fold")
    return table


def bullets(lines: Iterable[str]) -> Table:
    """Return lines as a list."""
    table = grid("left", "left")
    for line in lines:
        table.add_row("-", Text(line))
    return table


def shell_lines(command: str) -> str:
    """Return a command line with an option a line, still one command.

    >>> print(shell_lines("vllm serve /w --dtype bfloat16 --served-model-name 'a b'"))
    vllm serve /w \\
      --dtype bfloat16 \\
      --served-model-name 'a b'
    """
    lines: list[list[str]] = [[]]
    for word in shlex.split(command):
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _asked(plan: Plan) -> Text:
    level = plan.service_level
    return Text.assemble(
        (plan.model, "bold"),
        f" {plan.format} on {plan.shape}, vLLM {plan.engine_version}, profile {level.profile} ({level.intent})",
    )


def _verdict(plan: Plan) -> Iterator[RenderableType]:
    if plan.fits:
        sizes = plan.parallel
        shared = f"tensor parallel {sizes.tensor_parallel_size}, pipeline parallel {sizes.pipeline_parallel_size}"
        yield Text.assemble(("It fits", "bold green"), f": {shared}{', expert parallel' * sizes.expert_parallel}.")
    else:
        yield Text.assemble(("It does not fit", "bold red"), f", for {plural(len(plan.refusals), 'reason')}:")
        yield Padding(bullets(plan.refusals), (0, 0, 0, 2), expand=False)


def _memory(rank: RankBudget) -> Group:
    table = grid("left", "right", "left")
    extent = extent_bytes(rank)
    for part in parts(rank):
        style = {"kv": "green", "lacking": "red"}.get(part.kind, "")
        table.add_row(part.name, gib(part.size_bytes), Text(text_bar(part, extent, BAR_WIDTH), style=style))
    seen = f"pipeline stage {rank.stage}: {gib(rank.usable_bytes)} usable of {gib(rank.visible_bytes)} visible"
    return Group(Text(seen), table)


def _cache(kv: KvCache | None, naive: NaiveEstimate | None) -> RenderableType:
    if kv is None:
        return Text("not known: nothing says how large the cache is")
    table = grid("left", "right", "right")
    table.add_row("", "this plan", "naive estimate" if naive else "")
    table.add_row("tokens", count(kv.tokens), count(naive.concurrency * kv.max_model_len) if naive else "")
    held = {each.length: each.concurrency for each in kv.by_length} | {kv.max_model_len: kv.concurrency}
    for length in sorted(held) if kv.tokens else ():
        asked = " (max_model_len)" if length == kv.max_model_len else ""
        estimate = times(naive.concurrency * kv.max_model_len / length) if naive else ""
        table.add_row(f"sequences of {count(length)} tokens{asked}", times(held[length]), estimate)
    table.add_row("memory", f"{gib(kv.bytes_per_rank)} a rank", f"{gib(naive.headroom_bytes)} in all" if naive else "")
    basis = {"estimated": "estimated from the memory above", "given": "given", "set": "set by the engine's environment"}
    return Group(table, Text(f"memory {basis[kv.basis]}; blocks of {kv.block_tokens} tokens"))


def _service_level(level: ServiceLevel) -> Table:
    table = grid("left", "right", "left")
    for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "kv_cache_dtype"):
        choice = getattr(level, name)
        shown = count(choice.value) if isinstance(choice.value, int) else str(choice.value)
        table.add_row(name, shown, Text(choice.why))
    return table


def _options(plan: Plan) -> Table:
    table = grid("left", "left")
    for name, value in plan.options.items():
        table.add_row(name, Text(value if isinstance(value, str) else json.dumps(value)))
    return table


def _sizes(plan: Plan) -> Table:
    table = grid("left", "right")
    for name, size in (("disk", plan.disk_need_bytes), ("CPU memory of a machine", plan.host_memory_need_bytes)):
        table.add_row(name, "not known" if size is None else gb(size))
    return table
