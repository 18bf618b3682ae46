"""Models: architecture, published formats, parsers and licence. Numbers that nobody knows stay absent."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from nodestack.catalog.entry import Entry, Fact, Positive, PositiveFloat

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
SmokeKind = Literal["chat_reasoning_tools", "chat", "completion"]
Part = Literal["experts", "shared_experts", "dense_mlp", "attention", "embeddings", "router"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of a model whose bytes are counted apart, in the order in which they are shown."""


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
        router_bytes_per_parameter: As the engine holds the router, whatever the format stores.
        tied_embeddings: Whether the output layer is the embedding.
        vocabulary: Rows of the embedding.
    """

    name: str | None = None
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
    router_bytes_per_parameter: Positive = 2
    experts: int | None = None
    experts_per_token: int | None = None
    shared_experts: int | None = None
    tied_embeddings: bool = False
    vocabulary: Positive | None = None
    max_position_embeddings: Positive | None = None


class PartBytes(Entry):
    """Bytes that one parameter takes, scales included, by part of the model."""

    experts: PositiveFloat
    shared_experts: PositiveFloat
    dense_mlp: PositiveFloat
    attention: PositiveFloat
    embeddings: PositiveFloat
    router: PositiveFloat


class Quantisation(Entry):
    """How a format stores its weights.

    Attributes:
        method: As the engine names it once it has read the checkpoint.
        parts: The parts that are stored so; the others are plain.
        block: What a rank's share of a matrix must be a multiple of: rows where ranks share the outputs, columns
            where they share the inputs.
        minimum_compute_capability: Oldest GPU that computes it natively.
        fallback: What the engine does on older ones, or None when it refuses.
    """

    method: str
    parts: tuple[Part, ...]
    block: tuple[Positive, Positive]
    minimum_compute_capability: PositiveFloat
    fallback: str | None = None


class Format(Fact):
    """One published form of a model's weights.

    Attributes:
        repository: Hub id.
        commit: A pin that was seen, or None when none was.
        nominal_bytes_per_parameter: What the format's name says, scales left out; naive estimates use it.
        size_bytes: All files together, or None when nobody said.
        largest_file_bytes: The largest file, of which a second copy exists while it is fetched.
        bytes_per_parameter: By part of the model, where the format is known so well.
        quantisation: None for plain weights.
        known_to_serve: A start of it that somebody reported, with engine and hardware.
        caveat: What whoever chooses it should know, shown as a warning.
        refused_because: Why it is not served here, or None when it is.
    """

    repository: str
    commit: Commit | None = None
    nominal_bytes_per_parameter: PositiveFloat | None = None
    size_bytes: Positive | None = None
    largest_file_bytes: Positive | None = None
    bytes_per_parameter: PartBytes | None = None
    quantisation: Quantisation | None = None
    known_to_serve: str | None = None
    caveat: str | None = None
    refused_because: str | None = None


class Model(Entry):
    """A model, its architecture and its formats.

    A file may write `like: OTHER`: what it does not say itself is then taken from that model, formats apart.

    Attributes:
        parameters: Of the whole model.
        active_parameters: Of one token.
        nominal_parameters: As its makers round it in its name, which naive estimates start from.
        licence: None where nobody is known to have seen it.
    """

    family: str
    smoke_kind: SmokeKind
    served_model_name: str
    reasoning_parser: str | None = None
    tool_call_parser: str | None = None
    licence: Licence | None = None
    parameters: Positive | None = None
    active_parameters: Positive | None = None
    nominal_parameters: Positive | None = None
    architecture: Architecture
    formats: dict[str, Format]
