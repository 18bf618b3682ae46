"""Asks vLLM's own allocator, without a GPU: run by an engine's interpreter as `allocator_grid.py CASES ANSWERS`.

CASES is a JSON file of objects with the fields of `Case` in test_allocator.py; ANSWERS gets, in the same order, blocks,
tokens and concurrency, or the error that the engine would stop with.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from vllm.config import VllmConfig
from vllm.distributed.utils import get_pp_indices
from vllm.engine.arg_utils import EngineArgs
from vllm.utils.torch_utils import STR_DTYPE_TO_TORCH_DTYPE
from vllm.v1.core.kv_cache_utils import get_kv_cache_configs, get_max_concurrency_for_kv_cache_config
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheSpec, SlidingWindowSpec

ELEMENTS = {1: "fp8", 2: "bfloat16", 4: "float32"}


def main(cases: Path, answers: Path) -> None:
    """Answer every case."""
    asked = json.loads(cases.read_text())
    engine = EngineArgs(model=asked["checkpoint"], enforce_eager=True, max_model_len=1024).create_engine_config()
    # What 0.32.0 takes by itself where Triton is, as on GPUs; it decides how many steps are in flight.
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1"
    if hasattr(engine.cache_config, "kv_cache_layout"):
        engine.cache_config.kv_cache_layout = "LBNHC"
    answers.write_text(json.dumps([_answer(engine, case) for case in asked["cases"]]))


def _answer(engine: VllmConfig, case: dict[str, Any]) -> dict[str, Any]:
    engine.model_config.max_model_len = case["max_model_len"]
    engine.scheduler_config.max_num_batched_tokens = case["max_num_batched_tokens"]
    engine.scheduler_config.disable_hybrid_kv_cache_manager = not case["hybrid"]
    engine.scheduler_config.async_scheduling = case["asynchronous"]
    engine.parallel_config.tensor_parallel_size = case["tensor"]
    engine.parallel_config.pipeline_parallel_size = case["pipeline"]
    engine.cache_config.num_gpu_blocks_override = case["blocks"]
    engine.model_config.model_arch_config.total_num_kv_heads = case["kv_heads"]
    try:
        workers = get_kv_cache_configs(engine, _stages(engine, case), list(case["bytes_by_stage"]))
    except ValueError as error:
        return {"error": str(error)}
    concurrency = get_max_concurrency_for_kv_cache_config(engine, workers[0])
    return {
        "blocks": workers[0].num_blocks,
        "tokens": int(concurrency * case["max_model_len"]),
        "concurrency": concurrency,
    }


def _stages(engine: VllmConfig, case: dict[str, Any]) -> list[dict[str, KVCacheSpec]]:
    """Return what the workers of each stage report: a specification for each of their layers."""
    common = {
        "block_size": case["block_tokens"],
        "num_kv_heads": engine.model_config.get_num_kv_heads(engine.parallel_config),
        "head_size": case["head_dim"],
        "dtype": STR_DTYPE_TO_TORCH_DTYPE[ELEMENTS[case["bytes_per_element"]]],
    }
    kinds = {
        "full_attention": FullAttentionSpec(**common),
        "sliding_attention": SlidingWindowSpec(**common, sliding_window=case["sliding_window"]),
    }
    layers = case["layer_types"]
    stages = [get_pp_indices(len(layers), stage, case["pipeline"]) for stage in range(case["pipeline"])]
    return [{f"layers.{layer}": kinds[layers[layer]] for layer in range(*stage)} for stage in stages]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
