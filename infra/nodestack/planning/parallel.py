"""How GPUs share a model: tensor, pipeline and expert parallelism, and what cannot be shared."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from nodestack.catalog.models import Quantisation
from nodestack.planning.dimensions import Dimensions

VOCABULARY_PADDING = 64
"""Rows that the engine pads a vocabulary to a multiple of: `DEFAULT_VOCAB_PADDING_SIZE` of vLLM 0.23.0."""


@dataclass(frozen=True)
class Parallel:
    """Ranks and what each holds.

    Attributes:
        tensor: Ranks that share each layer.
        pipeline: Stages that the layers are divided into.
        expert: Whether the ranks of a stage hold whole experts in place of a slice of each.
    """

    tensor: int
    pipeline: int = 1
    expert: bool = False

    @property
    def ranks(self) -> int:
        """GPUs in use."""
        return self.tensor * self.pipeline


def choose(dims: Dimensions, quantisation: Quantisation | None, gpu_count: int, machines: int = 1) -> Parallel:
    """Return the widest tensor parallelism that works inside a machine; the rest is a pipeline.

    Args:
        dims: The model's numbers.
        quantisation: Of the weights' format, None for plain weights.
        gpu_count: GPUs of one machine.
        machines: Machines that serve together; tensor parallelism never spans them.

    >>> from nodestack.catalog import load
    >>> from nodestack.planning.dimensions import dimensions
    >>> dims = dimensions("trinity", load().model("trinity-large-thinking").architecture)
    >>> choose(dims, None, 3)
    Parallel(tensor=1, pipeline=3, expert=False)
    """
    for tensor in range(gpu_count, 1, -1):
        if gpu_count % tensor == 0 and not list(_tensor(dims, quantisation, Parallel(tensor))):
            return Parallel(tensor, gpu_count // tensor * machines)
    return Parallel(1, gpu_count * machines)


def refusals(
    dims: Dimensions, quantisation: Quantisation | None, parallel: Parallel, gpu_count_total: int
) -> list[str]:
    """Return why a model cannot be shared so, each with its arithmetic; nothing when it can.

    Source: vLLM 0.23.0, read: `AfmoeAttention`, `VocabParallelEmbedding`, `divide`, `validate_fp8_block_shape`,
    `verify_marlin_supports_shape`, `determine_expert_map`, `get_pp_indices`.

    Args:
        dims: The model's numbers.
        quantisation: Of the weights' format, None for plain weights.
        parallel: What was asked for or chosen.
        gpu_count_total: GPUs of all machines.
    """
    problems = []
    if parallel.ranks > gpu_count_total:
        asked = f"tensor parallel {parallel.tensor} x pipeline parallel {parallel.pipeline} = {parallel.ranks} ranks"
        problems.append(f"{asked}, the node has {gpu_count_total} GPUs")
    if parallel.pipeline > dims.layers:
        problems.append(
            f"pipeline parallel {parallel.pipeline} leaves stages empty, the model has {dims.layers} layers"
        )
    if parallel.expert and dims.experts < parallel.tensor:
        problems.append(f"expert parallel: {dims.experts} experts are too few for {parallel.tensor} ranks")
    return problems + list(_tensor(dims, quantisation, parallel))


def stages(layers: int, pipeline: int) -> tuple[range, ...]:
    """Return the layers of each pipeline stage, as `get_pp_indices` of vLLM 0.23.0 deals them.

    What is left over goes to the stages before the last, one each, from the back.

    >>> stages(62, 4)
    (range(0, 15), range(15, 31), range(31, 47), range(47, 62))
    """
    each, left = divmod(layers, pipeline)
    counts = [each + (pipeline - 1 - left <= stage < pipeline - 1) for stage in range(pipeline)]
    starts = [sum(counts[:stage]) for stage in range(pipeline)]
    return tuple(range(start, start + count) for start, count in zip(starts, counts, strict=True))


def padded_vocabulary(vocabulary: int) -> int:
    """Return the rows that the engine allocates for a vocabulary.

    >>> padded_vocabulary(1000)
    1024
    """
    return ceil(vocabulary / VOCABULARY_PADDING) * VOCABULARY_PADDING


def _tensor(dims: Dimensions, quantisation: Quantisation | None, parallel: Parallel) -> Iterator[str]:
    tensor = parallel.tensor
    if tensor == 1:
        return
    at = f"tensor parallel {tensor}"
    if dims.attention_heads % tensor:
        yield f"{at}: {dims.attention_heads} attention heads / {tensor} = {dims.attention_heads / tensor:.2f}"
    if max(dims.kv_heads, tensor) % min(dims.kv_heads, tensor):
        share = f"{dims.kv_heads} KV heads / {tensor} = {dims.kv_heads / tensor:.2f}"
        yield f"{at}: {share}, neither a whole number of heads nor of copies"
    rows = padded_vocabulary(dims.vocabulary)
    if rows % tensor:
        yield f"{at}: {rows} rows of the vocabulary (padded to {VOCABULARY_PADDING}) / {tensor} = {rows / tensor:.2f}"
    for part, name, width in _shared_widths(dims, expert_parallel=parallel.expert):
        yield from _width(f"{at}: {name} {width}", width, tensor, _block(quantisation, part))
    if quantisation and "attention" in quantisation.parts and not dims.attention_heads % tensor:
        for name, heads in (("queries'", dims.attention_heads), ("keys'", max(dims.kv_heads, tensor))):
            width = heads * dims.head_dim
            yield from _width(f"{at}: {name} width {width}", width, tensor, quantisation.block)


def _shared_widths(dims: Dimensions, *, expert_parallel: bool) -> Iterator[tuple[str, str, int]]:
    if dims.layers_dense:
        yield "dense_mlp", "intermediate size", dims.intermediate_size
    if dims.layers_of_experts and not expert_parallel:
        yield "experts", "expert intermediate size", dims.expert_intermediate_size
    if dims.layers_of_experts and dims.shared_experts:
        yield "shared_experts", "shared experts' size", dims.expert_intermediate_size * dims.shared_experts


def _block(quantisation: Quantisation | None, part: str) -> tuple[int, int]:
    return quantisation.block if quantisation and part in quantisation.parts else (1, 1)


def _width(what: str, width: int, tensor: int, block: tuple[int, int]) -> Iterator[str]:
    """An MLP's width is the outputs of its first matrices, which ranks share by rows, and the inputs of its last."""
    share = width / tensor
    if width % tensor:
        yield f"{what} / {tensor} = {share:.2f}, no whole number"
    elif broken := [size for size in dict.fromkeys(block) if share % size]:
        yield f"{what} / {tensor} = {share:.0f}, which is no multiple of the quantisation's block of {max(broken)}"
