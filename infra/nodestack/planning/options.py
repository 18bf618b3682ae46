"""The engine's options, from settings and what the plan found; the same for the unit and for whoever reads them."""

from pydantic import JsonValue

from nodestack.catalog.models import Model
from nodestack.settings import ServingSettings

# What the plan, the unit or a secret file already says; a stack's own options may not contradict them.
OWNED = frozenset(
    {
        "api-key",
        "host",
        "port",
        "model",
        "served-model-name",
        "tensor-parallel-size",
        "max-model-len",
        "max-num-seqs",
        "max-num-batched-tokens",
        "gpu-memory-utilization",
        "kv-cache-dtype",
        "shutdown-timeout",
    }
)


def engine_options(
    model: Model, serving: ServingSettings, tensor_parallel_size: int, runs_on: str
) -> dict[str, JsonValue]:
    """Return the engine's options by name without dashes, as its `--config` file takes them.

    Args:
        model: Names the parsers of reasoning and tool calls.
        serving: What the stack asks for.
        tensor_parallel_size: Ranks, as planned.
        runs_on: "gpu" or "cpu"; the CPU engine has no compiled graphs worth their start-up time.
    """
    options: dict[str, JsonValue] = {
        "dtype": "bfloat16",
        "tensor-parallel-size": tensor_parallel_size,
        "max-model-len": serving.max_model_len,
        "max-num-seqs": serving.max_num_seqs,
        "max-num-batched-tokens": serving.max_num_batched_tokens,
        "kv-cache-dtype": serving.kv_cache_dtype,
        "kv-cache-metrics": True,
    }
    if runs_on == "gpu":
        options["gpu-memory-utilization"] = serving.gpu_memory_utilization
    else:
        options["enforce-eager"] = True
    if model.reasoning_parser:
        options["reasoning-parser"] = model.reasoning_parser
    if model.tool_call_parser:
        options["enable-auto-tool-choice"] = True
        options["tool-call-parser"] = model.tool_call_parser
    return options | serving.options
