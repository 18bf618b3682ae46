import io
import subprocess
from itertools import pairwise

from rich.console import Console

from nodestack.rendering.memory_bar import extent_bytes, parts, text_bar
from nodestack.rendering.plan_table import plan_table, shell_lines
from tests.rendering.plans import GIB, plan, rank


def shown(**changes: object) -> str:
    console = Console(width=100, file=io.StringIO(), highlight=False)
    with console.capture() as captured:
        console.print(plan_table(plan(**changes)))
    return captured.get()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_table_stays_within_100_columns_whatever_the_texts_are() -> None:
    long = "weights " * 40
    text = shown(refusals=(long,), fits=False, warnings=(long,))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert flat(text).count("weights weights") >= 2


def test_the_table_says_what_was_asked_what_comes_out_and_why() -> None:
    text = flat(shown())
    for told in (
        "trinity-large-thinking fp8-block on 4x-h200-sxm5, vLLM 0.23.0, profile reasoning",
        "It fits: tensor parallel 4, pipeline parallel 1.",
        "sequences of 65,536 tokens (max_model_len) 36.50x 12.90x",
        "max_num_seqs 36 the cache holds 36.5 sequences of 65536 tokens",
        "enable-auto-tool-choice true",
        "$14.80 an hour, $10,656.00 a month",
        "break-even, output alone 426 M output tokens in 720 h",
        "volume, and parked $56.16 a month",
        "the first start takes 52 minutes",
        "OpenMDW License Agreement 1.1",
        "seen throughput: one user's published log of one node, 2026-11-01",
    ):
        assert told in text, told


def test_a_throughput_seen_elsewhere_gets_no_break_even() -> None:
    seen = shown().partition("throughput seen elsewhere")[2].partition("Sizes")[0]
    assert "$6.50 to $7.59" in seen
    assert "break-even" not in seen


def test_a_misfit_shows_all_reasons_first_and_still_the_whole_table() -> None:
    text = flat(shown(fits=False, refusals=("reason one", "reason two"), memory_per_rank=rank(-22.5), kv=None))
    assert "It does not fit, for 2 reasons: - reason one - reason two" in text
    assert "lacking 22.50 GiB" in text
    assert "not known: nothing says how large the cache is" in text
    assert "vllm serve" in text


def test_parts_of_the_memory_lie_one_after_another_and_fill_the_gpu() -> None:
    budget = rank()
    found = parts(budget)
    assert [part.name for part in found] == [
        "experts",
        "attention",
        "embeddings",
        "overhead",
        "KV cache",
        "left to others",
    ]
    for before, after in pairwise(found):
        assert abs(before.start_bytes + before.size_bytes - after.start_bytes) <= 1
    assert abs(sum(part.size_bytes for part in found) - budget.visible_bytes) <= 1


def test_what_does_not_fit_lacks_from_where_the_engine_may_take_no_more() -> None:
    budget = rank(-22.5)
    lacking = parts(budget)[-1]
    assert (lacking.name, lacking.start_bytes, lacking.size_bytes) == ("lacking", budget.usable_bytes, int(22.5 * GIB))
    assert extent_bytes(budget) == budget.usable_bytes + int(22.5 * GIB)


def test_the_smallest_part_of_a_bar_is_still_seen() -> None:
    extent = extent_bytes(rank())
    for part in parts(rank()):
        bar = text_bar(part, extent, 56)
        assert bar.strip()
        assert len(bar) <= 57


def test_the_serve_line_of_many_lines_is_the_same_command() -> None:
    command = "echo vllm serve /weights --served-model-name 'a b' --options '{\"backend\": \"auto\"}'"
    runs = [subprocess.check_output(["sh", "-c", line]) for line in (command, shell_lines(command))]
    assert runs[0] == runs[1]
    assert shell_lines(command).count("\n") == 2
