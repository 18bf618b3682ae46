"""What the planner answers: the plan, with every number that led to it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from nodestack.errors import PlanError
from nodestack.planning.cost import Cost
from nodestack.planning.service_level import ServiceLevel


class Answer(BaseModel):
    """Base of all parts: immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParallelSizes(Answer):
    """How GPUs share the model.

    Attributes:
        tensor_parallel_size: GPUs that share each layer.
        pipeline_parallel_size: Stages of layers.
        expert_parallel: Whether GPUs hold whole experts instead of a slice of each.
    """

    tensor_parallel_size: int
    pipeline_parallel_size: int
    expert_parallel: bool


class RankBudget(Answer):
    """The memory of the GPU that has the least left, in bytes.

    Attributes:
        stage: Its pipeline stage, counted from 0.
        visible_bytes: What the driver shows.
        usable_bytes: What the engine may take of it.
        weights_bytes: Its share of the weights, by part of the model.
        overhead_bytes: Activations, graphs and NCCL.
        kv_bytes: What is left for the KV cache; negative when the weights do not fit.
        basis: Where the numbers come from.
    """

    stage: int
    visible_bytes: int
    usable_bytes: int
    weights_bytes: dict[str, int]
    overhead_bytes: int
    kv_bytes: int
    basis: str


class HeldAtLength(Answer):
    """Sequences of one length that the cache holds at once."""

    length: int
    concurrency: float


class KvCache(Answer):
    """What the KV cache holds, as the engine's log will say it.

    Attributes:
        bytes_per_rank: Memory of the cache on one GPU.
        tokens: The log's "GPU KV cache size".
        concurrency: The log's "Maximum concurrency", at `max_model_len`.
        max_model_len: Longest sequence in tokens.
        block_tokens: Tokens of a block.
        by_length: Sequences held at other lengths, for plots.
        basis: `estimated` from the memory budget, `given` by whoever asked, or `set` by the engine's environment (CPU).
    """

    bytes_per_rank: int
    tokens: int
    concurrency: float
    max_model_len: int
    block_tokens: int
    by_length: tuple[HeldAtLength, ...]
    basis: Literal["estimated", "given", "set"]


class NaiveEstimate(Answer):
    """What parameters times bytes times 1.15 says, every layer counted as full attention; never used, only shown.

    Attributes:
        weights_bytes: Nominal parameters times bytes.
        runtime_bytes: The same with 15 % more.
        total_memory_bytes: All GPUs, as sold.
        headroom_bytes: What would be left for the KV cache.
        concurrency: Sequences of `max_model_len` that would hold.
    """

    weights_bytes: int
    runtime_bytes: int
    total_memory_bytes: int
    headroom_bytes: int
    concurrency: float


class Plan(Answer):
    """Whether a stack works, what it will hold, with which options and at what cost.

    Attributes:
        fits: Whether nothing refuses it.
        refusals: Why it cannot work, each with its arithmetic.
        warnings: What will disappoint, each with its arithmetic.
        repository: Hub id of the weights.
        commit: Their pin, 40 hex digits, or None when neither stack nor catalogue has one.
        licence: The model's licence as it was seen, with source and date.
        memory_per_rank: The tightest GPU, or None where the engine computes on a CPU.
        kv: What the cache holds, or None where nothing says how large it is.
        naive: The estimate that this plan replaces, or None for models without a nominal size.
        options: Engine options by name without dashes; the same in the unit, in Kubernetes and in `serve_command`.
        serve_command: The `vllm serve` line.
        disk_need_bytes: Weights, one file's second copy, engine and caches.
        host_memory_need_bytes: CPU memory of the node that fetching and loading take.
        sources: Where the other numbers come from, by what they are.
        overridden: Catalogue entries that a file of the user's replaced.
    """

    model: str
    format: str
    shape: str
    engine_version: str
    fits: bool
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    repository: str
    commit: str | None
    licence: str
    served_model_name: str
    smoke_kind: str
    parallel: ParallelSizes
    memory_per_rank: RankBudget | None
    kv: KvCache | None
    naive: NaiveEstimate | None
    service_level: ServiceLevel
    options: dict[str, JsonValue]
    serve_command: str
    cost: Cost
    disk_need_bytes: int
    host_memory_need_bytes: int
    sources: dict[str, str]
    overridden: tuple[str, ...]

    @property
    def pin(self) -> str:
        """The commit, of a plan that a stack is made by.

        Raises:
            PlanError: There is none; such a plan does not fit a stack.
        """
        if self.commit is None:
            raise PlanError(f"no commit of {self.repository} is pinned: set model.commit to 40 hex digits you reviewed")
        return self.commit
