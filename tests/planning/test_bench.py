"""Which load a stack is measured with."""

import doctest

import pytest

from nodestack.catalog import load
from nodestack.planning import bench
from nodestack.planning.bench import bench_shape

CATALOG = load()
TRACE = CATALOG.profiles.profiles["reasoning"].trace


def test_examples_in_docstrings_hold() -> None:
    found = doctest.testmod(bench)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("profile", sorted(CATALOG.profiles.profiles))
@pytest.mark.parametrize("max_model_len", [66, 1024, 32768, 262144])
def test_prompt_and_reply_always_fit_the_engine(profile: str, max_model_len: int) -> None:
    trace = CATALOG.profiles.profiles[profile].trace
    shape = bench_shape(trace, CATALOG.bench, max_model_len=max_model_len, max_num_seqs=4)
    assert shape.prompt_tokens + shape.output_tokens <= max_model_len - CATALOG.bench.context_margin_tokens


def test_a_workloads_length_stretches_the_trace_and_keeps_its_proportion() -> None:
    shape = bench_shape(TRACE, CATALOG.bench, max_model_len=65536, max_num_seqs=64, trace_length_p95=18432)
    assert (shape.prompt_tokens, shape.output_tokens) == (2048, 16384)
