"""Prints what vLLM's own logger exposes, from the registry that /metrics serves, without starting an engine.

Run with an engine's Python: PYTHON engine_says.py DIRECTORY_OF_THE_TINY_MODEL > engine.prom
Names, labels and buckets are the engine's; the readings are those of a full cache, made up.
"""

import sys

import prometheus_client
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.prometheus import get_prometheus_registry
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

STEPS = 20


def main() -> None:
    """Report a few steps under pressure, print the exposition."""
    arguments = EngineArgs(
        model=sys.argv[1],
        dtype="bfloat16",
        max_model_len=1024,
        max_num_seqs=4,
        enforce_eager=True,
        kv_cache_metrics=True,
        served_model_name="tiny-afmoe-thinking",
    )
    configuration = arguments.create_engine_config()
    configuration.cache_config.num_gpu_blocks = 26
    logger = PrometheusStatLogger(configuration, [0])
    logger.log_engine_initialized()
    for _ in range(STEPS):
        step = IterationStats()
        step.num_generation_tokens = 4
        step.time_to_first_tokens_iter = [0.4]
        step.inter_token_latencies_iter = [0.02] * 4
        logger.record(SchedulerStats(num_running_reqs=4, num_waiting_reqs=20, kv_cache_usage=0.96), step, engine_idx=0)
    sys.stdout.write(prometheus_client.generate_latest(get_prometheus_registry()).decode())


if __name__ == "__main__":
    main()
