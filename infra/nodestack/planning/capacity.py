"""What a node has room for: memory of each pipeline stage, and the KV cache that the tightest one leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from nodestack.planning import kv_cache
from nodestack.planning.kv_cache import CacheCapacity, CacheLayout
from nodestack.planning.memory import GIB, RankMemory, tightest

CPU_CACHE_GIB = "VLLM_CPU_KVCACHE_SPACE"
"""Variable that sizes the CPU engine's cache, in whole GiB."""
SHORTEST_SHOWN = 2048

Basis = Literal["estimated", "given", "set"]


@dataclass(frozen=True)
class Capacity:
    """Memory and cache of a node.

    Attributes:
        stages: Memory of one GPU of each pipeline stage; none where the engine computes on a CPU.
        layout: Groups of layers that share the cache.
        bytes_of_stages: Memory for the cache on one rank of each stage.
        basis: Where those bytes come from.
    """

    stages: tuple[RankMemory, ...]
    layout: CacheLayout
    bytes_of_stages: tuple[int, ...]
    basis: Basis

    @property
    def tightest(self) -> RankMemory:
        """The GPU that decides."""
        return tightest(self.stages)

    def at(self, length: int, step: int) -> CacheCapacity:
        """Return what the cache holds of sequences of `length` tokens, with steps of `step` tokens."""
        return kv_cache.capacity(self.layout, self.bytes_of_stages, length, step)

    def concurrency(self, length: int, step: int) -> float:
        """Return how many sequences of `length` tokens the cache holds."""
        return self.at(length, step).concurrency

    def by_length(self, longest: int, step: int) -> list[tuple[int, float]]:
        """Return lengths in tokens, doubling up to the model's longest, with how many sequences of each are held."""
        lengths = [SHORTEST_SHOWN << power for power in range(24) if SHORTEST_SHOWN << power < longest]
        return [(length, self.concurrency(length, step)) for length in (*lengths, longest)]


def cache_bytes(
    stages: tuple[RankMemory, ...], given: int | None, environment: Mapping[str, str], pipeline: int
) -> tuple[tuple[int, ...], Basis] | None:
    """Return the bytes of the cache by stage and where they come from, or None where nothing says.

    Args:
        stages: Memory of one GPU of each stage; none on a CPU.
        given: What the asker says each GPU has for it, in bytes; it goes before all else.
        environment: Of the engine, whose CPU build is told the size of its cache there.
        pipeline: Stages.
    """
    if given is not None:
        return (given,) * pipeline, "given"
    if stages:
        return tuple(rank.kv_bytes for rank in stages), "estimated"
    space = environment.get(CPU_CACHE_GIB, "")
    return ((int(space) * GIB,), "set") if space.isdecimal() and int(space) else None


def block_tokens(options: Mapping[str, JsonValue], default: int) -> int:
    """Return the tokens of a block: the stack's own option, or the engine's default on its device."""
    wanted = options.get("block-size")
    return wanted if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0 else default
