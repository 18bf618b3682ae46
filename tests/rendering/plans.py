"""A plan made by hand: what a page and a table show of it does not rest on how it was made."""

from nodestack.catalog import load
from nodestack.planning.cost import expected
from nodestack.planning.cost_terms import CostTerms
from nodestack.planning.result import HeldAtLength, KvCache, NaiveEstimate, ParallelSizes, Plan, RankBudget
from nodestack.planning.service_level import Choice, ServiceLevel

GIB = 2**30
MIB = 2**20
VISIBLE = 143_771 * MIB


def rank(kv_gib: float = 26.73) -> RankBudget:
    """A rank of 4x H200; a negative number of GiB is one whose weights do not fit."""
    usable, overhead = int(VISIBLE * 0.9), int(5.4 * GIB)
    weights = usable - overhead - int(kv_gib * GIB)
    parts = {"experts": weights - 3 * GIB, "attention": 2 * GIB, "embeddings": GIB, "router": 0}
    return RankBudget(
        stage=0,
        visible_bytes=VISIBLE,
        usable_bytes=usable,
        weights_bytes=parts,
        overhead_bytes=overhead,
        kv_bytes=int(kv_gib * GIB),
        basis="0.9 of 143771 MiB; overhead implied by a measured start",
    )


def cache() -> KvCache:
    """What that rank's cache holds."""
    held = ((8192, 104.1), (32768, 53.6), (65536, 36.5), (131072, 21.7), (262144, 12.5))
    return KvCache(
        bytes_per_rank=int(26.73 * GIB),
        tokens=2_392_064,
        concurrency=36.5,
        max_model_len=65536,
        block_tokens=16,
        by_length=tuple(HeldAtLength(length=length, concurrency=concurrency) for length, concurrency in held),
        basis="estimated",
    )


def plan(**changes: object) -> Plan:
    """A plan that fits; changes replace its fields."""
    prices = load().prices
    level = ServiceLevel(
        profile="reasoning",
        intent="long traces to their end",
        max_model_len=Choice(value=65536, why="the profile's start"),
        max_num_seqs=Choice(value=36, why="the cache holds 36.5 sequences of 65536 tokens"),
        max_num_batched_tokens=Choice(value=8192, why="holds 36.5 sequences"),
        kv_cache_dtype=Choice(value="fp8", why="half the bytes of a token"),
    )
    fields: dict[str, object] = {
        "model": "trinity-large-thinking",
        "format": "fp8-block",
        "shape": "4x-h200-sxm5",
        "engine_version": "0.23.0",
        "fits": True,
        "refusals": (),
        "warnings": ("the first start takes 52 minutes",),
        "repository": "arcee-ai/Trinity-Large-Thinking-FP8-Block",
        "commit": "6412c1ad1588c664977b0f830b80a20273173318",
        "licence": "OpenMDW License Agreement 1.1 (later copies of the repository, 2026-11-01)",
        "served_model_name": "trinity-large-thinking",
        "smoke_kind": "chat_reasoning_tools",
        "parallel": ParallelSizes(tensor_parallel_size=4, pipeline_parallel_size=1, expert_parallel=False),
        "memory_per_rank": rank(),
        "kv": cache(),
        "naive": NaiveEstimate(
            weights_bytes=400 * 10**9,
            runtime_bytes=460 * 10**9,
            total_memory_bytes=564 * 10**9,
            headroom_bytes=104 * 10**9,
            concurrency=12.9,
        ),
        "service_level": level,
        "options": {"max-model-len": 65536, "enable-auto-tool-choice": True, "dtype": "bfloat16"},
        "serve_command": "vllm serve /weights --max-model-len 65536 --enable-auto-tool-choice --dtype bfloat16",
        "cost": expected(prices.nodes["4x-h200-sxm5"], prices, CostTerms(), 600, 403_800_000_000),
        "disk_need_bytes": 428_800_000_000,
        "host_memory_need_bytes": 72 * 10**9,
        "sources": {"disk": "a rule, 2026-11-22"},
        "overridden": (),
    }
    return Plan.model_validate(fields | changes)
