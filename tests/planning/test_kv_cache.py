import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack.catalog import load
from nodestack.planning.kv_cache import capacity, layout

TRINITY = load().model("trinity-large-thinking").architecture
GIB = 2**30


def test_the_formula_meets_a_measured_start_within_a_tenth_of_a_percent() -> None:
    """FP8-Block on 4x H200, fp8 KV, 8192 batched: the log says 26.73 GiB a GPU, 3,275,586 tokens, 12.50x at 262144."""
    cache = layout(TRINITY, tensor_parallel_size=4, bytes_per_element=1, block_tokens=16)
    held = capacity(cache, int(26.73 * GIB), 262144, 8192)
    assert held.concurrency == pytest.approx(12.4954, rel=1e-3)
    assert held.tokens == pytest.approx(3_275_586, rel=1e-3)


def test_three_sliding_groups_share_the_pool_with_one_full_group() -> None:
    cache = layout(TRINITY, tensor_parallel_size=8, bytes_per_element=2, block_tokens=16)
    assert (cache.full_groups, cache.sliding_groups) == (1, 3)
    assert cache.bytes_per_token == 2 * 1 * 128 * 2 * 15


@given(length=st.integers(1, 262144), batched=st.integers(1, 65536), gib=st.integers(0, 200))
def test_more_batched_tokens_never_hold_more_sequences(length: int, batched: int, gib: int) -> None:
    cache = layout(TRINITY, tensor_parallel_size=4, bytes_per_element=1, block_tokens=16)
    more = capacity(cache, gib * GIB, length, batched + 1024).concurrency
    assert more <= capacity(cache, gib * GIB, length, batched).concurrency
