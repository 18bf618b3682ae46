"""What engines logged when they started on real nodes: shown beside a plan, never taken for one."""

from typing import Annotated

from pydantic import Field

from nodestack.catalog.entry import Fact, Positive


class Start(Fact):
    """One engine's start on one node, as its log tells it.

    Attributes:
        model: The model's name in the catalogue.
        format: Its format.
        shape: The node's shape.
        engine_version: The vLLM version.
        tensor_parallel_size: GPUs that shared each layer.
        kv_cache_dtype: What the KV cache held.
        gpu_memory_utilization: Fraction of visible memory that the engine took.
        max_model_len: Longest sequence in tokens.
        max_num_batched_tokens: Tokens of a step at most.
        kv_bytes_per_gpu: Logged memory of the KV cache on a GPU, in bytes, as exactly as the log rounds it.
        tokens: Logged "GPU KV cache size".
        concurrency: Logged "Maximum concurrency".
    """

    model: str
    format: str
    shape: str
    engine_version: str
    tensor_parallel_size: Positive
    kv_cache_dtype: str
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)]
    max_model_len: Positive
    max_num_batched_tokens: Positive
    kv_bytes_per_gpu: Positive
    tokens: Positive
    concurrency: Annotated[float, Field(gt=0)]
