"""The shapes of catalogue entries: what a fact must say to be one."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
SmokeKind = Literal["chat_reasoning_tools", "chat", "completion"]


class Entry(BaseModel):
    """Base of all entries: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(Entry):
    """An entry that says where it comes from.

    Attributes:
        source: Where the numbers were read or how they were derived.
        date: The day they were.
    """

    source: str
    date: date


class Licence(Fact):
    """A model's licence as it was seen; never printed without its source."""

    name: str


class Architecture(Fact):
    """What memory arithmetic needs of a transformer.

    Attributes:
        layers_full: Layers with full attention.
        layers_sliding: Layers that see `sliding_window` tokens only.
        vocabulary: Rows of the embedding.
    """

    name: str
    layers_full: int
    layers_sliding: int
    sliding_window: Positive
    hidden_size: Positive
    attention_heads: Positive
    kv_heads: Positive
    head_dim: Positive
    experts: int
    vocabulary: Positive
    max_position_embeddings: Positive


class Format(Fact):
    """One published form of a model's weights.

    Attributes:
        repository: Hub id.
        commit: A pin that was seen, or None when none was.
        size_bytes: All files together.
        largest_file_bytes: The largest file, of which a second copy exists while it is fetched.
    """

    repository: str
    commit: Commit | None
    size_bytes: Positive
    largest_file_bytes: Positive


class Model(Entry):
    """A model, its architecture and its formats."""

    family: str
    smoke_kind: SmokeKind
    served_model_name: str
    reasoning_parser: str | None = None
    tool_call_parser: str | None = None
    licence: Licence
    architecture: Architecture
    formats: dict[str, Format]


class Gpu(Fact):
    """A GPU as the driver shows it.

    Attributes:
        visible_mib: Memory in MiB that nvidia-smi reports.
        nvlinks: NVLinks a GPU has.
        nvlink_gb_per_s: Speed of each in GB/s.
    """

    name: str
    visible_mib: Positive
    nvlinks: int
    nvlink_gb_per_s: float


class Shape(Entry):
    """A node shape.

    Attributes:
        gpu: Name of its GPU.
        nvswitch: Whether GPUs meet over NVSwitches, which need a fabric manager.
        runs_on: What the engine computes on; "cpu" where the GPUs are replayed.
    """

    gpu: str
    gpu_count: Positive
    nvswitch: bool
    runs_on: Literal["gpu", "cpu"]


class Nodes(Entry):
    """GPUs and the shapes made of them."""

    gpus: dict[str, Gpu]
    shapes: dict[str, Shape]


class BlockTokens(Entry):
    """Tokens a KV cache block holds, by what the engine computes on."""

    gpu: Positive
    cpu: Positive


class Engine(Fact):
    """A vLLM version.

    Attributes:
        minimum_driver: Oldest NVIDIA driver its torch runs on.
        overhead_gib: Memory of a rank for activations, graphs and NCCL, in GiB.
    """

    minimum_driver: str
    overhead_gib: float
    block_tokens: BlockTokens


class Driver(Fact):
    """The driver that is installed where the image's is too old."""

    version: str
    branch: str


class Rate(Fact):
    """A price in USD an hour for a whole node."""

    usd_per_hour: Annotated[float, Field(gt=0)]


class Throughput(Fact):
    """Output tokens an hour, as a range that somebody assumed."""

    low: Positive
    high: Positive


class NodePrice(Entry):
    """What a node costs, or why it costs nothing."""

    on_demand: Rate | None = None
    spot: Rate | None = None
    assumed_tokens_per_hour: Throughput | None = None
    free_because: str | None = None


class Prices(Entry):
    """All prices, and the hours a month is counted with."""

    nodes: dict[str, NodePrice]
    hours_per_month: Positive
