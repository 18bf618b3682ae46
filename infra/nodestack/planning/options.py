"""The engine's options, from what was planned; the same for the unit's file, a command line and a container."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Protocol

from pydantic import JsonValue

from nodestack.catalog.engines import Device
from nodestack.catalog.models import Model

OWNED: Mapping[str, str] = {
    "api-key": "the stack's secrets api_key and api_keys, which the gateway asks for",
    "model": "model.name and model.format",
    "served-model-name": "the catalogue",
    "host": "the gateway, which alone reaches the engine",
    "port": "its own choice",
    "uds": "the gateway, which alone reaches the engine",
    "ssl-keyfile": "the gateway, where TLS ends",
    "ssl-certfile": "the gateway, where TLS ends",
    "ssl-ca-certs": "the gateway, where TLS ends",
    "root-path": "the gateway, which knows no other",
    "hf-token": "the stack's secret hub_token, which only fetches weights",
    "headless": "the node's shape",
    "tensor-parallel-size": "serving.tensor_parallel_size",
    "pipeline-parallel-size": "serving.pipeline_parallel_size",
    "enable-expert-parallel": "serving.enable_expert_parallel",
    "data-parallel-size": "the node's shape, on which one engine runs",
    "nnodes": "the node's shape",
    "node-rank": "the node's shape",
    "master-addr": "the node's shape",
    "max-model-len": "serving.max_model_len",
    "max-num-seqs": "serving.max_num_seqs",
    "max-num-batched-tokens": "serving.max_num_batched_tokens",
    "gpu-memory-utilization": "serving.gpu_memory_utilization",
    "kv-cache-dtype": "serving.kv_cache_dtype",
    "shutdown-timeout": "serving.shutdown_timeout_s",
}
"""Options that a stack sets elsewhere, and where; its own options may not contradict them."""


class Ranks(Protocol):
    """How GPUs share a model."""

    @property
    def tensor(self) -> int:
        """GPUs that share each layer."""

    @property
    def pipeline(self) -> int:
        """Stages of layers."""

    @property
    def expert(self) -> bool:
        """Whether GPUs hold whole experts."""


def engine_options(  # noqa: PLR0913 - each by name
    model: Model,
    *,
    max_model_len: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    kv_cache_dtype: str,
    gpu_memory_utilization: float,
    extra: Mapping[str, JsonValue],
    parallel: Ranks,
    runs_on: Device,
) -> dict[str, JsonValue]:
    """Return the engine's options by name without dashes, a denial as false.

    Several machines need `nnodes`, `node-rank` and `master-addr` in addition, which differ from machine to machine.

    Args:
        model: Names the parsers of reasoning and tool calls.
        max_model_len: Longest sequence in tokens.
        max_num_seqs: Sequences in flight; always said, because the engine's own default follows the GPU's memory.
        max_num_batched_tokens: Tokens of a step.
        kv_cache_dtype: Format of the KV cache, `auto` or `fp8`.
        gpu_memory_utilization: Fraction of visible memory the engine may take; means nothing on a CPU.
        extra: A profile's or a stack's own options, checked; they win.
        parallel: Ranks, as planned.
        runs_on: The CPU engine has no compiled graphs worth their start-up time.
    """
    options: dict[str, JsonValue] = {
        "dtype": "bfloat16",
        "tensor-parallel-size": parallel.tensor,
        "max-model-len": max_model_len,
        "max-num-seqs": max_num_seqs,
        "max-num-batched-tokens": max_num_batched_tokens,
        "kv-cache-dtype": kv_cache_dtype,
        "kv-cache-metrics": True,
    }
    if parallel.pipeline > 1:
        options["pipeline-parallel-size"] = parallel.pipeline
    if parallel.expert:
        options["enable-expert-parallel"] = True
    if runs_on == "gpu":
        options["gpu-memory-utilization"] = gpu_memory_utilization
    else:
        options["enforce-eager"] = True
    if model.reasoning_parser:
        options["reasoning-parser"] = model.reasoning_parser
    if model.tool_call_parser:
        options["enable-auto-tool-choice"] = True
        options["tool-call-parser"] = model.tool_call_parser
    return {**options, **extra}


def config_file(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return options as the engine's `--config` file has to have them.

    vLLM leaves out what is false there, so that a denial gets the name the parser has for it.

    >>> config_file({"async-scheduling": False, "enforce-eager": True})
    {'no-async-scheduling': True, 'enforce-eager': True}
    """
    written: dict[str, JsonValue] = {}
    for name, value in options.items():
        if value is False:
            written[f"no-{name}"] = True
        else:
            written[name] = value
    return written


def serve_words(directory: str, options: Mapping[str, JsonValue]) -> list[str]:
    """Return `vllm serve` with these options as words of a command line, none of them quoted."""
    return ["vllm", "serve", directory, *(word for name, value in options.items() for word in _words(name, value))]


def serve_command(directory: str, options: Mapping[str, JsonValue]) -> str:
    """Return `vllm serve` with these options as one line for a shell.

    >>> serve_command("/weights", {"max-model-len": 32768, "async-scheduling": False})
    'vllm serve /weights --max-model-len 32768 --no-async-scheduling'
    """
    return shlex.join(serve_words(directory, options))


def kubernetes_args(directory: str, options: Mapping[str, JsonValue]) -> list[str]:
    """Return the arguments of a container whose entry point is `vllm serve`.

    Kubernetes reads `$(NAME)` as a variable of the container's; a doubled dollar keeps it as it is.
    """
    return [word.replace("$(", "$$(") for word in serve_words(directory, options)[2:]]


def _words(name: str, value: JsonValue) -> Iterator[str]:
    if value is False:
        yield f"--no-{name}"
        return
    yield f"--{name}"
    if isinstance(value, dict):
        yield json.dumps(value, separators=(",", ":"))
    elif isinstance(value, list):
        yield from (str(entry) for entry in value)
    elif value is not True:
        yield str(value)
