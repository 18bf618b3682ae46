from pathlib import Path

from nodestack.catalog import load
from nodestack.commands.report import logged
from nodestack.settings import EngineSettings, ModelSettings, NodeChoice, Request
from tests.commands.runs import THINKING, nodestack

REQUEST = Request(
    node=NodeChoice(shape="4x-h200-sxm5"),
    model=ModelSettings(name="trinity-large-thinking", format="fp8-block"),
    engine=EngineSettings(version="0.23.0"),
)


def test_a_page_is_written_and_the_exit_code_says_whether_it_fits(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    found = nodestack("report", *THINKING, "--node", "4x-h200-sxm5", "--output", str(page))
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"{page}: it fits")
    html = page.read_text(encoding="utf-8")
    assert "Beside a real start" in html
    assert "3,275,586" in html
    unfit = nodestack("report", *THINKING, "--node", "8x-h100-sxm5", "--format", "bf16", "--output", str(page))
    assert (unfit.returncode, unfit.stderr) == (1, "")
    html = page.read_text(encoding="utf-8")
    assert "It does not fit" in html
    assert "Beside a real start" not in html


def test_a_page_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    found = nodestack("report", *THINKING, "--node", "4x-h200-sxm5", "--output", str(tmp_path / "no" / "plan.html"))
    assert found.returncode == 1
    assert found.stderr == f"error: --output {tmp_path / 'no' / 'plan.html'}: No such file or directory\n"


def test_what_was_logged_is_compared_with_plans_for_the_same_settings() -> None:
    catalog = load()
    start = catalog.measurements[0]
    beside = logged(start, REQUEST, catalog)
    for plan in (beside.estimated, beside.given):
        assert plan.kv is not None
        assert plan.kv.max_model_len == start.max_model_len
        assert plan.service_level.max_num_batched_tokens.value == start.max_num_batched_tokens
        assert abs(plan.kv.concurrency / start.concurrency - 1) < 0.005
        assert abs(plan.kv.tokens / start.tokens - 1) < 0.005
        assert plan.naive is not None
        assert plan.naive.concurrency < start.concurrency / 3
    assert (beside.estimated.kv and beside.estimated.kv.basis, beside.given.kv and beside.given.kv.basis) == (
        "estimated",
        "given",
    )
