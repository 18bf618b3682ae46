"""What a preview says of a plan before anything is made: what it holds and what it costs, in a few lines."""

from nodestack.planning.result import Plan
from nodestack.rendering.units import count, gb, gib, times


def brief(plan: Plan) -> str:
    """Return the plan in a few lines, for the diagnostics of a preview."""
    level = plan.service_level
    rows = [
        ("model", f"{plan.model} {plan.format} at {(plan.commit or 'no pin')[:12]} on {plan.shape}, {_ranks(plan)}"),
        ("service", f"{level.profile}: {level.intent}"),
        ("holds", _holds(plan)),
        ("memory", _memory(plan)),
        ("disk", f"{gb(plan.disk_need_bytes)} for weights, engine and caches"),
        ("cost", plan.cost.headline),
        *(
            ("parked", f"{plan.cost.volume.usd_per_month:,.2f} USD a month for the volume")
            for _ in [0]
            if plan.cost.volume
        ),
        *(("warning", warning) for warning in plan.warnings),
    ]
    return "\n".join(["this stack, as planned:", *(f"  {name:8} {text}" for name, text in rows if text)])


def _ranks(plan: Plan) -> str:
    sizes = plan.parallel
    parts = [f"tensor parallel {sizes.tensor_parallel_size}"]
    if sizes.pipeline_parallel_size > 1:
        parts.append(f"pipeline parallel {sizes.pipeline_parallel_size}")
    if sizes.expert_parallel:
        parts.append("expert parallel")
    return ", ".join(parts)


def _holds(plan: Plan) -> str:
    level = plan.service_level
    flight = f"{level.max_num_seqs.value} in flight, steps of {count(level.max_num_batched_tokens.value)} tokens"
    if plan.kv is None:
        return f"sequences of {count(level.max_model_len.value)} tokens, {flight}"
    held = f"{times(plan.kv.concurrency)} sequences of {count(plan.kv.max_model_len)} tokens"
    return f"{held} ({count(plan.kv.tokens)} tokens of KV cache), {flight}"


def _memory(plan: Plan) -> str:
    rank = plan.memory_per_rank
    if rank is None:
        return ""
    return (
        f"a GPU: {gib(sum(rank.weights_bytes.values()))} weights, {gib(rank.overhead_bytes)} overhead, "
        f"{gib(rank.kv_bytes)} KV cache, of {gib(rank.usable_bytes)}"
    )
