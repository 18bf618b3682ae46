import dataclasses
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack.catalog.models import Quantisation
from nodestack.planning import parallel as module
from nodestack.planning.parallel import Parallel, choose, padded_vocabulary, refusals, stages
from tests.planning.placements import MODEL, TRINITY

FP8 = MODEL.formats["fp8-block"].quantisation
W4A16 = MODEL.formats["w4a16"].quantisation
NVFP4 = MODEL.formats["nvfp4"].quantisation


@pytest.mark.parametrize(
    ("gpu_count", "machines", "expected"),
    [
        (1, 1, Parallel(1)),
        (2, 1, Parallel(2)),
        (3, 1, Parallel(1, 3)),
        (4, 1, Parallel(4)),
        (6, 1, Parallel(2, 3)),
        (8, 1, Parallel(8)),
        (8, 2, Parallel(8, 2)),
    ],
)
def test_the_widest_tensor_parallelism_that_works_is_chosen(gpu_count: int, machines: int, expected: Parallel) -> None:
    chosen = choose(TRINITY, FP8, gpu_count, machines)
    assert chosen == expected
    assert refusals(TRINITY, FP8, chosen, gpu_count * machines) == []


def test_tensor_parallel_3_is_refused_by_kv_heads_and_vocabulary_though_the_heads_divide() -> None:
    assert refusals(TRINITY, FP8, Parallel(3), 3) == [
        "tensor parallel 3: 8 KV heads / 3 = 2.67, neither a whole number of heads nor of copies",
        "tensor parallel 3: 200192 rows of the vocabulary (padded to 64) / 3 = 66730.67",
    ]


@pytest.mark.parametrize("quantisation", [FP8, W4A16])
def test_tensor_parallel_16_breaks_blocks_of_128(quantisation: Quantisation) -> None:
    told = refusals(TRINITY, quantisation, Parallel(16), 16)
    assert told[0] == (
        "tensor parallel 16: expert intermediate size 3072 / 16 = 192, "
        "which is no multiple of the quantisation's block of 128"
    )
    assert "shared experts' size 3072 / 16 = 192" in told[1]
    assert len(told) == 2


def test_whole_experts_have_no_blocks_to_break_but_shared_ones_still_do() -> None:
    told = refusals(TRINITY, FP8, Parallel(16, expert=True), 16)
    assert len(told) == 1
    assert "shared experts' size" in told[0]


@pytest.mark.parametrize("quantisation", [None, NVFP4])
def test_tensor_parallel_16_copies_kv_heads_and_works_where_blocks_are_small(quantisation: Quantisation | None) -> None:
    assert refusals(TRINITY, quantisation, Parallel(16), 16) == []


def test_quantised_attention_is_looked_at_too() -> None:
    assert W4A16
    attention = W4A16.model_copy(update={"parts": ("attention",), "block": (256, 256)})
    assert [problem.split(" / ")[0] for problem in refusals(TRINITY, attention, Parallel(8), 8)] == [
        "tensor parallel 8: keys' width 1024"
    ]


def test_more_ranks_than_gpus_are_refused() -> None:
    told = refusals(TRINITY, FP8, Parallel(8, 2), 8)
    assert told == ["tensor parallel 8 x pipeline parallel 2 = 16 ranks, the node has 8 GPUs"]


def test_more_stages_than_layers_are_refused() -> None:
    assert "leaves stages empty, the model has 60 layers" in refusals(TRINITY, FP8, Parallel(1, 61), 61)[0]


def test_expert_parallelism_needs_an_expert_for_each_rank() -> None:
    few = dataclasses.replace(TRINITY, experts=4)
    assert refusals(few, None, Parallel(8, expert=True), 8) == ["expert parallel: 4 experts are too few for 8 ranks"]
    assert refusals(few, None, Parallel(4, expert=True), 8) == []


@pytest.mark.parametrize(
    ("layers", "pipeline", "counts"),
    [(60, 3, [20, 20, 20]), (60, 8, [7, 7, 7, 8, 8, 8, 8, 7]), (61, 2, [31, 30]), (62, 4, [15, 16, 16, 15])],
)
def test_layers_are_dealt_as_the_engine_deals_them(layers: int, pipeline: int, counts: list[int]) -> None:
    assert [len(stage) for stage in stages(layers, pipeline)] == counts


@given(layers=st.integers(1, 200), pipeline=st.integers(1, 16))
def test_every_layer_is_on_one_stage(layers: int, pipeline: int) -> None:
    assert [layer for stage in stages(layers, pipeline) for layer in stage] == list(range(layers))


@given(vocabulary=st.integers(1, 300_000))
def test_a_vocabulary_is_padded_by_less_than_a_block(vocabulary: int) -> None:
    assert padded_vocabulary(vocabulary) % 64 == 0
    assert 0 <= padded_vocabulary(vocabulary) - vocabulary < 64


def test_the_examples_hold() -> None:
    assert doctest.testmod(module) == (0, 6)
