import dataclasses
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from nodestack.catalog import load
from nodestack.errors import PlanError
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.kv_cache import (
    CacheLayout,
    blocks_per_sequence,
    bytes_needed,
    capacity,
    layout,
    longest_context,
    stage_layers,
)

TRINITY = dimensions("trinity-large-thinking", load().model("trinity-large-thinking").architecture)
GIB = 2**30
LONGEST = 262144


class Setting(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tensor: int
    pipeline: int = 1
    hybrid: bool = True
    bytes_per_element: int
    block_tokens: int = 16
    max_num_batched_tokens: int
    source: str
    date: date

    def layout(self) -> CacheLayout:
        return layout(
            TRINITY,
            tensor=self.tensor,
            pipeline=self.pipeline,
            bytes_per_element=self.bytes_per_element,
            block_tokens=self.block_tokens,
            hybrid=self.hybrid,
        )


class Start(Setting):
    gib_per_rank: float
    max_model_len: int
    logged_tokens: int
    logged_concurrency: float


class Row(Setting):
    gib: int
    gpus: int
    concurrency: dict[int, float]


MEASURED = yaml.safe_load((Path(__file__).parent / "measured.yaml").read_text())
STARTS = [Start(**start) for start in MEASURED["starts"]]
ROWS = [Row(**row) for row in MEASURED["tables"]]


def trinity(*, tensor: int = 4, pipeline: int = 1, steps_in_flight: int = 1) -> CacheLayout:
    return layout(
        TRINITY,
        tensor=tensor,
        pipeline=pipeline,
        bytes_per_element=1,
        block_tokens=16,
        steps_in_flight=steps_in_flight,
    )


def hybrid(full: int, sliding: int) -> Dimensions:
    return dataclasses.replace(TRINITY, layers_full=full, layers_sliding=sliding)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_a_measured_start_is_met_within_a_hundredth_of_a_percent(start: Start) -> None:
    held = capacity(start.layout(), int(start.gib_per_rank * GIB), start.max_model_len, start.max_num_batched_tokens)
    assert held.tokens == pytest.approx(start.logged_tokens, rel=1e-4)
    assert round(held.concurrency, 2) == pytest.approx(start.logged_concurrency)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_some_memory_that_the_log_rounds_alike_gives_the_logged_tokens_to_the_last_one(start: Start) -> None:
    cache = start.layout()
    least = int((start.gib_per_rank - 0.005) * GIB) // cache.block_bytes[0]
    most = int((start.gib_per_rank + 0.005) * GIB) // cache.block_bytes[0]
    found = {
        capacity(cache, 0, start.max_model_len, start.max_num_batched_tokens, blocks=blocks).tokens
        for blocks in range(least, most + 1)
    }
    assert start.logged_tokens in found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_table_made_with_the_allocator_is_reproduced_within_its_rounding(row: Row) -> None:
    for length, expected in row.concurrency.items():
        least, most = (
            capacity(row.layout(), int((row.gib + off) * GIB / row.gpus), length, row.max_num_batched_tokens)
            for off in (-0.5, 0.5)
        )
        assert least.concurrency - 0.05 <= expected <= most.concurrency + 0.05


def test_three_sliding_groups_share_the_pool_with_one_full_group() -> None:
    cache = layout(TRINITY, tensor=8, bytes_per_element=2, block_tokens=16)
    assert (cache.full_groups, cache.sliding_groups) == (1, 3)
    assert cache.bytes_per_token == 2 * 1 * 128 * 2 * 15


@pytest.mark.parametrize(
    ("full", "sliding", "groups", "layers_per_group"),
    [
        (15, 45, (1, 3), 15),
        (60, 0, (1, 0), 60),
        (0, 60, (0, 1), 60),
        (13, 12, (1, 1), 13),
        (12, 17, (1, 1), 17),
        (12, 18, (1, 2), 12),
        (10, 52, (1, 6), 10),
        (20, 30, (1, 2), 20),
    ],
)
def test_groups_are_as_large_as_the_rarer_kind_unless_padding_costs_less(
    full: int, sliding: int, groups: tuple[int, int], layers_per_group: int
) -> None:
    cache = layout(hybrid(full, sliding), tensor=8, bytes_per_element=1, block_tokens=1)
    assert (cache.full_groups, cache.sliding_groups) == groups
    assert cache.block_bytes == (2 * 128 * layers_per_group,)


def test_without_the_hybrid_manager_all_layers_are_one_full_group() -> None:
    cache = layout(TRINITY, tensor=8, bytes_per_element=1, block_tokens=1, hybrid=False)
    assert (cache.full_groups, cache.sliding_groups, cache.bytes_per_token) == (1, 0, 2 * 128 * 60)


def test_without_the_hybrid_manager_a_model_of_sliding_layers_only_keeps_its_window() -> None:
    cache = layout(hybrid(0, 60), tensor=8, bytes_per_element=1, block_tokens=16, hybrid=False)
    assert (cache.full_groups, cache.sliding_groups) == (0, 1)


def test_more_ranks_than_kv_heads_hold_copies() -> None:
    assert trinity(tensor=16).block_bytes == trinity(tensor=8).block_bytes


def test_equal_pipeline_stages_hold_a_third_of_every_group() -> None:
    cache = trinity(tensor=1, pipeline=3)
    assert (cache.full_groups, cache.sliding_groups) == (1, 3)
    assert cache.block_bytes == (5 * 2 * 8 * 128 * 16,) * 3


def test_the_fullest_group_sizes_the_blocks_of_a_stage() -> None:
    """30 layers a stage are 7 full and 23 sliding, then 8 and 22: no stage gets by with 7.5 of each group."""
    assert trinity(tensor=8, pipeline=2).block_bytes == (8 * 2 * 128 * 16,) * 2


def test_the_stage_with_the_fewest_blocks_decides() -> None:
    cache = trinity(tensor=8, pipeline=2)
    even = capacity(cache, 20 * GIB, 65536, 8192)
    assert capacity(cache, [30 * GIB, 20 * GIB], 65536, 8192) == even
    assert capacity(cache, [20 * GIB, 30 * GIB], 65536, 8192) == even


def test_sizes_for_other_stages_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is longer"):
        capacity(trinity(tensor=8, pipeline=2), [20 * GIB], 65536, 8192)


@pytest.mark.parametrize(
    ("layers", "pipeline", "expected"),
    [
        (60, 3, [20, 20, 20]),
        (61, 2, [31, 30]),
        (61, 3, [20, 21, 20]),
        (62, 4, [15, 16, 16, 15]),
        (63, 4, [16, 16, 16, 15]),
    ],
)
def test_layers_that_do_not_divide_go_to_the_stages_before_the_last(
    layers: int, pipeline: int, expected: list[int]
) -> None:
    assert stage_layers(layers, pipeline) == expected


def test_a_sliding_layer_holds_what_every_step_in_flight_computes() -> None:
    one, two = trinity(), trinity(steps_in_flight=2)
    assert blocks_per_sequence(one, LONGEST, 8192) == 16384 + 3 * (768 + 1)
    assert blocks_per_sequence(two, LONGEST, 8192) == 16384 + 3 * (1280 + 1)


def test_a_window_holds_the_token_that_is_computed_as_its_last() -> None:
    one_full_group = LONGEST // 16
    assert blocks_per_sequence(trinity(), LONGEST, 1) == one_full_group + 3 * (4096 // 16 + 1)
    assert blocks_per_sequence(trinity(), LONGEST, 2) == one_full_group + 3 * (4096 // 16 + 2)


def test_an_override_of_blocks_counts_whatever_the_memory() -> None:
    cache = trinity()
    assert capacity(cache, 1 * GIB, 65536, 8192, blocks=1000).blocks == 1000
    assert capacity(cache, 1 * GIB, 65536, 8192, blocks=1000).bytes_per_rank == 1000 * cache.block_bytes[0]


def test_the_block_that_the_pool_keeps_is_counted_for_whole_sequences_only() -> None:
    cache = trinity()
    needed = blocks_per_sequence(cache, 65536, 8192)
    exact = capacity(cache, needed * cache.block_bytes[0], 65536, 8192)
    assert (exact.concurrency, exact.whole_sequences) == (1.0, 0)
    assert capacity(cache, bytes_needed(cache, 1, 65536, 8192), 65536, 8192).whole_sequences == 1


def test_no_memory_holds_nothing() -> None:
    held = capacity(trinity(), -5 * GIB, 65536, 8192)
    assert (held.bytes_per_rank, held.blocks, held.tokens, held.concurrency, held.whole_sequences) == (0, 0, 0, 0.0, 0)
    assert longest_context(trinity(), -5 * GIB, 8192, LONGEST) == 0


def test_a_model_without_attention_is_refused() -> None:
    with pytest.raises(PlanError, match="no layers of attention"):
        layout(hybrid(0, 0), tensor=1, bytes_per_element=2, block_tokens=16)


lengths = st.integers(1, LONGEST)
batches = st.integers(1, 65536)
sizes = st.integers(0, 200 * GIB)
layouts = st.builds(
    layout,
    st.builds(hybrid, st.integers(1, 40), st.integers(0, 80)),
    tensor=st.sampled_from([1, 2, 4, 8, 16]),
    pipeline=st.integers(1, 8),
    bytes_per_element=st.sampled_from([1, 2, 4]),
    block_tokens=st.sampled_from([16, 32, 64, 128]),
    hybrid=st.booleans(),
    steps_in_flight=st.integers(1, 9),
)


@given(cache=layouts, size=sizes, more=sizes, length=lengths, batched=batches)
def test_more_memory_never_holds_less(cache: CacheLayout, size: int, more: int, length: int, batched: int) -> None:
    assert capacity(cache, size + more, length, batched).tokens >= capacity(cache, size, length, batched).tokens
    assert longest_context(cache, size + more, batched, LONGEST) >= longest_context(cache, size, batched, LONGEST)


@given(cache=layouts, size=sizes, length=lengths, longer=lengths, batched=batches)
def test_longer_sequences_are_never_held_in_greater_number(
    cache: CacheLayout, size: int, length: int, longer: int, batched: int
) -> None:
    more = capacity(cache, size, length + longer, batched).concurrency
    assert more <= capacity(cache, size, length, batched).concurrency


@given(cache=layouts, size=sizes, length=lengths, batched=batches, more=batches)
def test_more_batched_tokens_never_hold_more_sequences(
    cache: CacheLayout, size: int, length: int, batched: int, more: int
) -> None:
    with_more = capacity(cache, size, length, batched + more).concurrency
    assert with_more <= capacity(cache, size, length, batched).concurrency


@given(cache=layouts, sequences=st.integers(1, 64), length=lengths, batched=batches)
def test_the_memory_that_sequences_need_holds_them_and_a_byte_less_does_not(
    cache: CacheLayout, sequences: int, length: int, batched: int
) -> None:
    needed = bytes_needed(cache, sequences, length, batched)
    assert capacity(cache, needed, length, batched).whole_sequences == sequences
    assert capacity(cache, needed - 1, length, batched).whole_sequences < sequences


@given(cache=layouts, size=sizes, batched=batches)
def test_the_longest_context_fits_and_one_token_more_does_not(cache: CacheLayout, size: int, batched: int) -> None:
    longest = longest_context(cache, size, batched, LONGEST)
    fits = [capacity(cache, size, length, batched).whole_sequences > 0 for length in (longest, longest + 1) if length]
    assert fits[-1] is (longest == LONGEST and bytes_needed(cache, 1, longest + 1, batched) <= size)
    assert all(fits[:-1])


@given(layers=st.integers(0, 200), pipeline=st.integers(1, 16))
def test_stages_share_all_layers_and_differ_by_one_at_most(layers: int, pipeline: int) -> None:
    stages = stage_layers(layers, pipeline)
    assert sum(stages) == layers
    assert max(stages) - min(stages) <= 1
    assert stages[-1] == min(stages)


def test_longer_lengths_need_more_blocks() -> None:
    needs = [blocks_per_sequence(trinity(), length, 8192) for length in (16, 1024, 65536, LONGEST)]
    assert all(shorter < longer for shorter, longer in pairwise(needs))
