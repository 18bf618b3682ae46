"""Models: architecture, published formats, parsers and licence. Numbers that nobody knows stay absent."""

from typing import Annotated, Literal

from pydantic import Field

from nodestack.catalog.entry import Entry, Fact, Positive

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
SmokeKind = Literal["chat_reasoning_tools", "chat", "completion"]


class Licence(Fact):
    """A model's licence as it was seen; never printed without its source."""

    name: str


class Architecture(Fact):
    """What memory arithmetic needs of a transformer; None is a number that was not found.

    Attributes:
        layers_full: Layers with full attention.
        layers_sliding: Layers that see `sliding_window` tokens only.
        layers_dense: Of all layers, those with one dense MLP in place of experts; they come first.
        intermediate_size: Width of a dense MLP.
        expert_intermediate_size: Width of one expert.
        experts: Routed experts of a layer; 0 for a dense model.
        experts_per_token: Routed experts that a token uses.
        shared_experts: Experts that every token uses.
        attention_gate: Whether attention has an output gate as wide as its queries.
        tied_embeddings: Whether the output layer is the embedding.
        vocabulary: Rows of the embedding.
    """

    name: str
    layers_full: int | None = None
    layers_sliding: int | None = None
    layers_dense: int | None = None
    sliding_window: Positive | None = None
    hidden_size: Positive | None = None
    intermediate_size: Positive | None = None
    expert_intermediate_size: Positive | None = None
    attention_heads: Positive | None = None
    kv_heads: Positive | None = None
    head_dim: Positive | None = None
    attention_gate: bool = False
    experts: int | None = None
    experts_per_token: int | None = None
    shared_experts: int | None = None
    tied_embeddings: bool = False
    vocabulary: Positive | None = None
    max_position_embeddings: Positive | None = None


class PartBytes(Entry):
    """Bytes that one parameter takes on disk and in memory, scales included, by part of the model."""

    experts: float
    shared_experts: float
    dense_mlp: float
    attention: float
    embeddings: float
    router: float


class Quantisation(Entry):
    """How a format stores its weights.

    Attributes:
        method: As the engine names it once it has read the checkpoint.
        block: Rows and columns that share a scale, which a rank's share must be a multiple of; None has no such rule.
        minimum_compute_capability: Oldest GPU that computes it natively.
        fallback: What the engine does on older ones, or None when it refuses.
    """

    method: str
    block: tuple[Positive, Positive] | None = None
    minimum_compute_capability: float | None = None
    fallback: str | None = None


class Format(Fact):
    """One published form of a model's weights.

    Attributes:
        repository: Hub id.
        commit: A pin that was seen, or None when none was.
        size_bytes: All files together, or None when nobody said.
        largest_file_bytes: The largest file, of which a second copy exists while it is fetched.
        bytes_per_parameter: By part of the model, where the format is known so well.
        quantisation: None for plain weights.
        known_to_serve: A start of it that somebody reported, with engine and hardware.
    """

    repository: str
    commit: Commit | None = None
    size_bytes: Positive | None = None
    largest_file_bytes: Positive | None = None
    bytes_per_parameter: PartBytes | None = None
    quantisation: Quantisation | None = None
    known_to_serve: str | None = None


class Model(Entry):
    """A model, its architecture and its formats.

    Attributes:
        parameters: Of the whole model.
        active_parameters: Of one token.
        nominal_parameters: As its makers round it in its name, which naive estimates start from.
    """

    family: str
    smoke_kind: SmokeKind
    served_model_name: str
    reasoning_parser: str | None = None
    tool_call_parser: str | None = None
    licence: Licence
    parameters: Positive | None = None
    active_parameters: Positive | None = None
    nominal_parameters: Positive | None = None
    architecture: Architecture
    formats: dict[str, Format]
