"""How many tokens and sequences a KV cache holds, block by block as vLLM allocates it."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from nodestack.errors import PlanError
from nodestack.planning.dimensions import Dimensions


@dataclass(frozen=True)
class CacheLayout:
    """What the arithmetic needs to know of a model on its ranks.

    Attributes:
        full_groups: Groups of layers that keep every token.
        sliding_groups: Groups of layers that keep a window only.
        sliding_window: Tokens a sliding layer sees.
        block_tokens: Tokens a block holds.
        block_bytes: Bytes that one block takes on a rank, by pipeline stage; 0 for a stage without layers.
        steps_in_flight: Steps whose tokens a sliding layer may hold at once.
    """

    full_groups: int
    sliding_groups: int
    sliding_window: int
    block_tokens: int
    block_bytes: tuple[int, ...]
    steps_in_flight: int = 1

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one token takes in one group, on a rank of the stage that needs the most."""
        return max(self.block_bytes) // self.block_tokens


@dataclass(frozen=True)
class CacheCapacity:
    """What a cache holds.

    Attributes:
        bytes_per_rank: Memory of the cache on one rank of the stage that has the fewest blocks.
        blocks: Blocks of the pool that all groups draw from.
        blocks_per_sequence: Blocks that a sequence of full length takes at most.
        concurrency: What the engine logs as "Maximum concurrency": sequences of full length held at once.
        tokens: What the engine logs as "KV cache size": concurrency times length.
        whole_sequences: Sequences of full length that really fit, since the pool keeps one block for itself.
    """

    bytes_per_rank: int
    blocks: int
    blocks_per_sequence: int
    concurrency: float
    tokens: int

    @property
    def whole_sequences(self) -> int:
        return max(self.blocks - 1, 0) // self.blocks_per_sequence


def layout(  # noqa: PLR0913 - each by name
    dims: Dimensions,
    *,
    tensor: int,
    pipeline: int = 1,
    bytes_per_element: int,
    block_tokens: int,
    hybrid: bool = True,
    steps_in_flight: int = 1,
) -> CacheLayout:
    """Return the groups of layers that draw blocks from one pool.

    A model of one kind of layers is one group. In a hybrid one every group has as many layers as the rarer kind, or,
    where that would leave the other kind's last group nearly empty (less than 1.5 times as many), as the more frequent
    kind; a group that comes out shorter takes a whole group's bytes. Groups are made over the whole model and every
    pipeline stage holds its own layers of each, so that the fullest one there sizes the stage's blocks.

    Source: `get_kv_cache_groups` and `get_kv_cache_configs` of vLLM 0.23.0 and 0.32.0, read and run.

    Args:
        dims: Layers, heads and window; full layers are taken to be the last of equal periods (every fourth, say).
        tensor: Ranks that share the KV heads; beyond their number each rank holds a copy of one.
        pipeline: Stages that share the layers.
        bytes_per_element: 2 for bfloat16, 1 for fp8 with one scale a tensor, 4 for float32.
        block_tokens: Tokens a block holds: the option block-size, or the engine's default on its device.
        hybrid: False for the option disable-hybrid-kv-cache-manager: sliding layers then keep every token.
        steps_in_flight: Steps that are scheduled before the first one's blocks are freed. 0.23.0 reserves for 1;
            0.32.0 for the pipeline's stages, and one more with asynchronous scheduling (its default on GPUs).

    Raises:
        PlanError: The model has no layers of attention.
    """
    kinds = list(_kinds(dims))
    if not hybrid and True in kinds:
        kinds = [True] * len(kinds)
    counts = Counter(kinds)
    if not counts:
        raise PlanError("the model has no layers of attention, so there is no KV cache to plan")
    fewest, most = min(counts.values()), max(counts.values())
    layers_per_group = most if 2 * most < 3 * fewest else fewest
    groups = {full: ceil(count / layers_per_group) for full, count in counts.items()}
    heads = max(dims.kv_heads // tensor, 1)
    layer_block_bytes = 2 * heads * dims.head_dim * bytes_per_element * block_tokens
    return CacheLayout(
        full_groups=groups.get(True, 0),
        sliding_groups=groups.get(False, 0),
        sliding_window=dims.sliding_window,
        block_tokens=block_tokens,
        block_bytes=tuple(layer_block_bytes * layers for layers in _fullest_groups(kinds, groups, pipeline)),
        steps_in_flight=steps_in_flight,
    )


def capacity(
    cache: CacheLayout,
    bytes_per_rank: int | Sequence[int],
    max_model_len: int,
    max_num_batched_tokens: int,
    *,
    blocks: int | None = None,
) -> CacheCapacity:
    """Return what a cache of `bytes_per_rank` holds at a sequence length, as the engine logs it at its start.

    Source: `get_max_concurrency_for_kv_cache_config` of vLLM 0.23.0 and 0.32.0, read and run; tests hold it to a
    measured start and to the allocator itself.

    Args:
        cache: The model's groups of layers.
        bytes_per_rank: Memory for the cache on one rank; one number for all pipeline stages, or one for each. On a GPU
            what weights and overhead leave, on a CPU VLLM_CPU_KVCACHE_SPACE GiB, on both the option
            kv-cache-memory-bytes where it is set.
        max_model_len: Sequence length in tokens.
        max_num_batched_tokens: Tokens a step computes; a sliding layer holds them beside its window.
        blocks: The option num-gpu-blocks-override: blocks that are allocated whatever the memory is.

    Raises:
        ValueError: The sizes are neither one nor as many as there are stages.
    """
    of_stages = _by_stage(cache, bytes_per_rank)
    found, size = min((size // each, size) for size, each in zip(of_stages, cache.block_bytes, strict=True) if each)
    if blocks is not None:
        found, size = blocks, blocks * max(cache.block_bytes)
    needed = blocks_per_sequence(cache, max_model_len, max_num_batched_tokens)
    concurrency = found / needed
    return CacheCapacity(
        bytes_per_rank=size,
        blocks=found,
        blocks_per_sequence=needed,
        concurrency=concurrency,
        tokens=int(concurrency * max_model_len),
    )


def blocks_per_sequence(cache: CacheLayout, max_model_len: int, max_num_batched_tokens: int) -> int:
    """Return the blocks that a sequence of full length takes at most, over all groups.

    A sliding layer keeps its window less the token to come, and what is being computed; its first token may lie
    anywhere in a block, which is one block more.
    """
    in_window = min(cache.sliding_window - 1 + cache.steps_in_flight * max_num_batched_tokens, max_model_len)
    full = ceil(max_model_len / cache.block_tokens)
    sliding = ceil(in_window / cache.block_tokens) + 1
    return cache.full_groups * full + cache.sliding_groups * sliding


def bytes_needed(cache: CacheLayout, sequences: int, max_model_len: int, max_num_batched_tokens: int) -> int:
    """Return the memory, in bytes a rank, that holds `sequences` of full length at once.

    The pool's own block counts: 0.32.0 refuses to start without it, 0.23.0 starts and may never schedule the sequence.
    """
    blocks = sequences * blocks_per_sequence(cache, max_model_len, max_num_batched_tokens) + 1
    return blocks * max(cache.block_bytes)


def longest_context(
    cache: CacheLayout, bytes_per_rank: int | Sequence[int], max_num_batched_tokens: int, at_most: int
) -> int:
    """Return the longest sequence in tokens, `at_most` that many, of which the cache holds one; 0 where none fits."""
    free = capacity(cache, bytes_per_rank, 1, max_num_batched_tokens).blocks - 1
    lengths = range(1, at_most + 1)
    return bisect_right(lengths, free, key=lambda length: blocks_per_sequence(cache, length, max_num_batched_tokens))


def _kinds(dims: Dimensions) -> Iterator[bool]:
    """Yield for each layer whether its attention is full."""
    for layer in range(dims.layers):
        yield (layer + 1) * dims.layers_full // dims.layers > layer * dims.layers_full // dims.layers


def _fullest_groups(kinds: Sequence[bool], groups: dict[bool, int], pipeline: int) -> Iterator[int]:
    """Yield for each stage the layers of the group that has the most there; layers are dealt to groups in turn."""
    dealt: Counter[bool] = Counter()
    group_of_layer = []
    for kind in kinds:
        group_of_layer.append((kind, dealt[kind] % groups[kind]))
        dealt[kind] += 1
    first = 0
    for layers in stage_layers(len(kinds), pipeline):
        yield max(Counter(group_of_layer[first : first + layers]).values(), default=0)
        first += layers


def stage_layers(layers: int, pipeline: int) -> list[int]:
    """Return the layers of each pipeline stage as vLLM deals them: the rest goes to the stages before the last.

    Source: `get_pp_indices` of vLLM 0.23.0 and 0.32.0, read and run.
    """
    each, rest = divmod(layers, pipeline)
    return [each + (pipeline - 1 - rest <= stage < pipeline - 1) for stage in range(pipeline)]


def _by_stage(cache: CacheLayout, bytes_per_rank: int | Sequence[int]) -> list[int]:
    stages = len(cache.block_bytes)
    sizes = [bytes_per_rank] * stages if isinstance(bytes_per_rank, int) else list(bytes_per_rank)
    return [max(size, 0) for size in sizes]
