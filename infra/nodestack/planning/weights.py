"""How many bytes of weights each rank holds, by part of the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from nodestack.catalog.models import PARTS, Format, Part
from nodestack.errors import CatalogError
from nodestack.planning.dimensions import Dimensions
from nodestack.planning.parallel import Parallel, padded_vocabulary, stages


@dataclass(frozen=True)
class RankWeights:
    """The weights of one rank of a pipeline stage, in bytes; every expert is resident, whatever is active."""

    stage: int
    layers: int
    experts: int
    shared_experts: int
    dense_mlp: int
    attention: int
    embeddings: int
    router: int

    @property
    def parts(self) -> dict[Part, int]:
        """Bytes by part, the empty ones left out."""
        return {part: size for part in PARTS if (size := getattr(self, part))}

    @property
    def total(self) -> int:
        """All of them, in bytes."""
        return sum(self.parts.values())


def parameters(dims: Dimensions) -> dict[Part, int]:
    """Return the parameters of the whole model by part; norms, millionths of it, are left out.

    MLPs and experts have three matrices: gate, up and down.
    """
    layer, expert = _attention(dims, dims.kv_heads), 3 * dims.hidden_size * dims.expert_intermediate_size
    return {
        "experts": dims.layers_of_experts * dims.experts * expert,
        "shared_experts": dims.layers_of_experts * dims.shared_experts * expert,
        "dense_mlp": dims.layers_dense * 3 * dims.hidden_size * dims.intermediate_size,
        "attention": dims.layers * layer,
        "embeddings": (1 if dims.tied_embeddings else 2) * dims.vocabulary * dims.hidden_size,
        "router": dims.layers_of_experts * dims.experts * dims.hidden_size,
    }


def checkpoint_bytes(name: str, dims: Dimensions, form: Format) -> int:
    """Return the size of all files of a format, as published or from its bytes by part.

    Args:
        name: "models.MODEL.formats.FORMAT", for the message.
        dims: The model's numbers.
        form: The format.

    Raises:
        CatalogError: Neither is known; the message names the fields.
    """
    if form.size_bytes:
        return form.size_bytes
    each = _bytes_per_parameter(name, dims, form)
    return round(sum(count * each[part] for part, count in parameters(dims).items()))


def of_ranks(name: str, dims: Dimensions, form: Format, parallel: Parallel) -> tuple[RankWeights, ...]:
    """Return what one rank of each pipeline stage holds; ranks of one stage hold the same.

    Experts, MLPs and attention are divided by tensor parallelism, KV heads copied where ranks are more than they are,
    the router copied to each rank in the engine's own precision. The first stage has the embedding and the last the
    output layer, by rows of the padded vocabulary. Dense layers come first, so that stages are unequal. Where the
    published size differs from the sum of the parts, by headers or by parts that nobody described, all parts are scaled
    to it.

    Source: vLLM 0.23.0's afmoe.py, linear.py and vocab_parallel_embedding.py, read.

    Args:
        name: "models.MODEL.formats.FORMAT", for the message.
        dims: The model's numbers.
        form: The format.
        parallel: How ranks share it; it has to be one that `parallel.refusals` lets pass.

    Raises:
        CatalogError: Neither size nor bytes by part are known.
    """
    each = _bytes_per_parameter(name, dims, form)
    stored = sum(count * each[part] for part, count in parameters(dims).items())
    scale = form.size_bytes / stored if form.size_bytes else 1.0
    return tuple(
        RankWeights(
            stage=number,
            layers=len(layers),
            **{
                part: ceil(count * (dims.router_bytes_per_parameter if part == "router" else each[part] * scale))
                for part, count in _of_stage(dims, parallel, layers).items()
            },
        )
        for number, layers in enumerate(stages(dims.layers, parallel.pipeline))
    )


def _of_stage(dims: Dimensions, parallel: Parallel, layers: range) -> dict[Part, int]:
    """Return the parameters of one rank of a stage."""
    tensor = parallel.tensor
    with_experts = len([layer for layer in layers if layer >= dims.layers_dense])
    expert = 3 * dims.hidden_size * dims.expert_intermediate_size
    experts = ceil(dims.experts / tensor) * expert if parallel.expert else dims.experts * expert // tensor
    kv_heads = max(dims.kv_heads, tensor)
    tables = (layers.start == 0) + (layers.stop == dims.layers)
    if dims.tied_embeddings and parallel.pipeline == 1:
        tables = 1
    return {
        "experts": with_experts * experts,
        "shared_experts": with_experts * dims.shared_experts * expert // tensor,
        "dense_mlp": (len(layers) - with_experts) * 3 * dims.hidden_size * dims.intermediate_size // tensor,
        "attention": len(layers) * _attention(dims, kv_heads) // tensor,
        "embeddings": tables * padded_vocabulary(dims.vocabulary) * dims.hidden_size // tensor,
        "router": with_experts * dims.experts * dims.hidden_size,
    }


def _attention(dims: Dimensions, kv_heads: int) -> int:
    """Return the parameters of a layer's queries, output, gate, keys and values."""
    queries = (3 if dims.attention_gate else 2) * dims.attention_heads
    return dims.hidden_size * dims.head_dim * (queries + 2 * kv_heads)


def _bytes_per_parameter(name: str, dims: Dimensions, form: Format) -> Mapping[Part, float]:
    if form.bytes_per_parameter:
        return {part: getattr(form.bytes_per_parameter, part) for part in PARTS}
    if form.size_bytes is None:
        missing = f"{name}.size_bytes or {name}.bytes_per_parameter"
        raise CatalogError(f"{form.repository} cannot be planned, the catalogue does not know {missing}")
    return dict.fromkeys(PARTS, form.size_bytes / sum(parameters(dims).values()))
