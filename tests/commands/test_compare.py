import json

import pytest

from nodestack.commands.compare import MARKETS
from nodestack.rendering.comparison import Row
from tests.commands.runs import THINKING, inside, nodestack


def compared(*arguments: str, code: int = 0) -> list[Row]:
    found = inside("compare", *THINKING, *arguments, "--json")
    assert found.returncode == code, found.stderr
    return [Row.model_validate(row) for row in json.loads(found.stdout)]


def test_what_fits_is_sorted_by_the_worst_price_of_a_token_and_what_does_not_comes_last() -> None:
    rows = compared()
    fitting = [row.fits for row in rows]
    assert fitting == sorted(fitting, reverse=True)
    assert {True, False} == set(fitting)
    worst = [row.usd_per_million_output_tokens[1] for row in rows if row.fits and row.usd_per_million_output_tokens]
    assert worst == sorted(worst)
    assert (rows[0].shape, rows[0].market) == ("4x-h200-sxm5", "spot")
    assert worst[0] == pytest.approx(10.06, abs=0.01)


def test_nodes_formats_and_markets_are_each_with_each() -> None:
    rows = compared(
        *("--node", "8x-h100-sxm5", "--node", "4x-h200-sxm5", "--format", "fp8-block", "--format", "bf16"),
    )
    found = {(row.shape, row.format, row.market) for row in rows}
    shapes, formats = ("8x-h100-sxm5", "4x-h200-sxm5"), ("fp8-block", "bf16")
    assert found == {(shape, name, market) for shape in shapes for name in formats for market in MARKETS}
    assert len(rows) == len(found)


def test_a_format_that_is_not_served_is_a_row_with_its_reason() -> None:
    rows = compared("--format", "gguf", "--node", "8x-h100-sxm5", code=1)
    assert [row.fits for row in rows] == [False, False]
    assert "gguf is not served here" in rows[0].refusals[0]


def test_the_table_lists_what_does_not_fit_with_its_first_reason() -> None:
    found = nodestack("compare", *THINKING, "--node", "8x-h100-sxm5")
    assert found.returncode == 0
    fits, _, others = found.stdout.partition("Does not fit")
    assert "$34.84 to $52.27" in fits
    assert "bf16" not in fits
    assert "the weights do not fit: 77.0 GB usable" in " ".join(others.split())
    assert max(len(line) for line in found.stdout.splitlines()) <= 100


def test_the_asked_service_level_is_what_is_compared() -> None:
    (row, _) = compared("--node", "4x-h200-sxm5", "--format", "fp8-block", "--set", "serving.max_model_len=131072")
    assert row.max_model_len == 131072
    (half, _) = compared("--node", "4x-h200-sxm5", "--format", "fp8-block", "--set", "cost.utilisation=0.5")
    assert half.usd_per_million_output_tokens == pytest.approx((14.08, 20.11), abs=0.01)


def test_all_that_is_wrong_is_one_message_in_which_nothing_is_told_twice() -> None:
    found = inside("compare", *THINKING, "--node", "a", "--node", "b", "--format", "fp9", "--set", "cost.utilisation=2")
    assert found.returncode == 2
    assert found.stdout == ""
    assert "wrong in 4 places" in found.stderr
    assert found.stderr.count("utilisation") == 1
    assert "--model is missing" in inside("compare").stderr
