"""What a measurement keeps, what it is held against, and which length real requests suggest."""

import io
import json
import math
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bench_engine
import pytest
from nodestack_bench import compare, lengths, measure
from nodestack_bench.exposition import Bucket, counter, histogram, quantile, without
from nodestack_bench.lengths import Own
from nodestack_bench.run import main

from nodestack.provisioning.bench_report import BenchResult

BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
TOLERANCES = {"output_tokens_per_second": 0.1, "ttft_p50_ms": 0.2, "inter_token_p50_ms": 0.1}


def page(prompts: list[int], replies: list[int], cut: int = 0) -> str:
    """Return what an engine says that served requests of these lengths, the first `cut` of them up to a limit."""
    lines = [f'vllm:generation_tokens_total{{engine="0"}} {sum(replies)}.0']
    for name, sizes in (("vllm:request_prompt_tokens", prompts), ("vllm:request_generation_tokens", replies)):
        lines.append(f"# TYPE {name} histogram")
        for bound in (*BOUNDS, math.inf):
            count = sum(size <= bound for size in sizes)
            label = "+Inf" if math.isinf(bound) else f"{bound}.0"
            lines.append(f'{name}_bucket{{engine="0",le="{label}",model_name="tiny"}} {count}.0')
    for reason, many in (("length", cut), ("stop", len(replies) - cut)):
        lines.append(f'vllm:request_success_total{{engine="0",finished_reason="{reason}"}} {many}.0')
    return "\n".join(lines)


def suggest(text: str, own: tuple[Own, ...] = (), longest: int = 1024) -> dict[str, Any]:
    return lengths.describe(text, own, least_requests=100, multiple=128, max_model_len=longest)


def test_a_histogram_is_read_with_all_its_series() -> None:
    one = 'h_bucket{engine="0",le="10.0"} 3\nh_bucket{engine="0",le="+Inf"} 4'
    text = "\n".join([one, one.replace('"0"', '"1"').replace(" 3", " 5").replace(" 4", " 5")])
    assert histogram(text, "h") == [Bucket(10, 8), Bucket(math.inf, 9)]
    assert histogram(text, "another") == []
    assert counter(page([1], [1, 2], cut=1), "vllm:request_success_total", finished_reason="length") == 1


def test_a_quantile_lies_in_its_bucket_and_the_last_has_no_end() -> None:
    buckets = histogram(page([1], [15] * 90 + [150] * 10), "vllm:request_generation_tokens")
    assert quantile(buckets, 0.95) == (150.0, 100, 200)
    assert quantile(buckets, 0.5)[1:] == (10, 20)
    beyond = histogram(page([1], [5000] * 100), "vllm:request_generation_tokens")
    assert quantile(beyond, 0.95) == (1000, 1000, math.inf)
    with pytest.raises(ValueError, match="empty"):
        quantile([], 0.95)


def test_requests_of_ours_are_left_out() -> None:
    buckets = histogram(page([8] * 30, [16] * 10 + [64] * 20), "vllm:request_generation_tokens")
    assert without(buckets, [(64, 20)])[-1] == Bucket(math.inf, 10)
    assert [bucket.requests for bucket in without(buckets, [(64, 20)])[4:7]] == [10, 10, 10]


def test_a_length_is_suggested_from_upper_bounds_and_with_its_arithmetic() -> None:
    found = suggest(page([40] * 200, [150] * 200))
    assert found["suggested_max_model_len"] == 256
    assert found["generated_tokens_p95"] == {"estimate": 195, "more_than": 100, "at_most": 200}
    assert found["arithmetic"] == (
        "95 % of 200 prompts had at most 50 tokens, 95 % of the replies at most 200: together 250, "
        "as a multiple of 128: 256"
    )


def test_too_few_requests_suggest_nothing_and_ours_do_not_count() -> None:
    found = suggest(page([40] * 150, [150] * 150), (Own(40, 150, 60),))
    assert (found["requests"], found["own_requests"], found["suggested_max_model_len"]) == (90, 60, None)
    assert found["arithmetic"] == "90 requests of clients since the engine's start, at least 100 are needed"


def test_replies_that_were_cut_are_told_since_they_would_have_been_longer() -> None:
    found = suggest(page([40] * 200, [150] * 200, cut=80), (Own(1, 1, 20),))
    assert found["cut_share"] == pytest.approx(60 / 180, abs=1e-4)
    assert "33% of the replies were cut at a limit" in found["arithmetic"]


def test_no_more_is_suggested_for_a_bucket_than_the_engine_takes() -> None:
    found = suggest(page([40] * 200, [900] * 200), longest=960)
    assert found["generated_tokens_p95"]["at_most"] == 960


WELL = {"output_tokens_per_second": 100.0, "ttft_p50_ms": 50.0, "inter_token_p50_ms": 10.0}


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        ({}, []),
        ({"output_tokens_per_second": 91.0, "ttft_p50_ms": 59.0}, []),
        ({"output_tokens_per_second": 89.0}, ["output_tokens_per_second"]),
        ({"output_tokens_per_second": 200.0, "ttft_p50_ms": 61.0}, ["ttft_p50_ms"]),
        ({"inter_token_p50_ms": 20.0}, ["inter_token_p50_ms"]),
    ],
)
def test_a_figure_is_worse_beyond_its_tolerance_only(now: dict[str, float], worse: list[str]) -> None:
    found = compare.regressions(WELL | now, WELL, TOLERANCES)
    assert [each["figure"] for each in found] == worse
    assert all(each["worse_by"] > each["tolerance"] for each in found)


def test_an_absent_former_figure_is_not_compared() -> None:
    assert compare.regressions(WELL, {"ttft_p50_ms": 0}, TOLERANCES) == []


class Node:
    """A node with an engine of which only the metrics answer, and a systemctl that runs the load as a test says."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.records = root / "volume" / "bench"
        (root / "state" / "results").mkdir(parents=True)
        engine = {"pass": True, "version": "0.23.0", "build": "cpu", "options": {"max-model-len": 1024}}
        (root / "state" / "results" / "engine.json").write_text(json.dumps(engine))
        self.served: dict[str, Any] = {"completed": 8, "failed": 0}
        self.rate = 100.0
        self.leaves_a_result = True

    def load(self) -> None:
        result = {
            "output_throughput": self.rate,
            "p50_ttft_ms": 50.0,
            "p99_ttft_ms": 90.0,
            "p50_itl_ms": 1000 / self.rate,
            "p99_itl_ms": 2000 / self.rate,
            "duration": 5.0,
            "total_output_tokens": 512,
            **self.served,
        }
        if self.leaves_a_result:
            (self.root / "result.json").write_text(json.dumps(result))

    def run(self, **changes: Any) -> tuple[int, str]:
        asked = {
            "unit": "nodestack-vllm.service",
            "engine_url": self.url,
            "url": self.url,
            "through": "engine",
            "model": "tiny",
            "tokenizer": "/weights",
            "commit": "c" * 40,
            "hardware": "CPU",
            "shape": {"prompt_tokens": 16, "output_tokens": 64, "requests": 8, "concurrency": 4},
            "timeout_s": 60,
            "usd_per_hour": 14.8,
            "usd_basis": "what spheron bills for the node",
            "max_model_len": 1024,
            "length_multiple": 128,
            "least_requests": 100,
            "tolerances": TOLERANCES,
            "accept": False,
            "records": str(self.records),
            **changes,
        }
        (self.root / "asked.json").write_text(json.dumps(asked))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(
                [
                    f"--asked={self.root / 'asked.json'}",
                    f"--parameters={self.root / 'parameters.json'}",
                    f"--result={self.root / 'result.json'}",
                    f"--state-directory={self.root / 'state'}",
                    f"--progress={self.root / 'progress.json'}",
                ]
            )
        return status, err.getvalue()

    def result(self) -> BenchResult:
        return BenchResult.model_validate_json((self.root / "state" / "results" / "bench.json").read_text())


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = page([40] * 200, [150] * 200).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    seconds = iter(range(1_800_000_000, 1_900_000_000))
    monkeypatch.setattr("nodestack_bench.run._now", lambda: next(seconds))
    monkeypatch.setattr("nodestack_bench.run._invocation", lambda unit: "1st")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        node = Node(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
        states = {"now": "inactive"}

        def systemctl(*arguments: str) -> Any:
            if arguments[0] == "start":
                node.load()
            return type("Done", (), {"returncode": 0, "stdout": states["now"], "stderr": ""})()

        monkeypatch.setattr(measure, "_systemctl", systemctl)
        monkeypatch.setattr(node, "states", states, raising=False)
        yield node
        server.shutdown()
        thread.join()


def test_a_record_says_what_was_measured_with_what_and_what_it_costs(node: Node) -> None:
    assert node.run() == (0, "")
    record = node.result()
    assert record.kind == "measured"
    assert record.figures.output_tokens_per_second == 100
    assert record.usd_per_million_output_tokens == pytest.approx(14.8 / (100 * 3600) * 1e6, abs=1e-4)
    assert (record.engine_version, record.engine_build, record.commit) == ("0.23.0", "cpu", "c" * 40)
    assert (record.compared_with, record.regressions, record.is_baseline) == ("", (), True)
    assert json.loads(Path(record.file).read_text()) == record.model_dump(mode="json")
    assert record.lengths.suggested_max_model_len == 256


def test_a_free_node_costs_nothing_and_an_unknown_price_is_no_price(node: Node) -> None:
    node.run(usd_per_hour=0.0)
    assert node.result().usd_per_million_output_tokens == 0
    node.run(usd_per_hour=None)
    assert node.result().usd_per_million_output_tokens is None


def test_a_slower_run_is_a_regression_until_it_is_accepted(node: Node) -> None:
    node.run()
    first = node.result().at
    node.rate = 50
    for _ in range(2):
        assert node.run()[0] == 0
        assert node.result().compared_with == first, "a regression is not the measure of the next run"
        assert [each.figure for each in node.result().regressions] == ["output_tokens_per_second", "inter_token_p50_ms"]
        assert not node.result().is_baseline
    node.run(accept=True)
    accepted = node.result().at
    node.run()
    assert (node.result().compared_with, node.result().regressions) == (accepted, ())


@pytest.mark.parametrize(
    "other",
    [
        {"commit": "d" * 40},
        {"hardware": "8x NVIDIA H100 80GB HBM3"},
        {"through": "gateway"},
        {"shape": {"prompt_tokens": 16, "output_tokens": 32, "requests": 8, "concurrency": 4}},
    ],
)
def test_only_what_is_the_same_is_compared(node: Node, other: dict[str, Any]) -> None:
    node.run()
    node.rate = 10
    node.run(**other)
    assert (node.result().compared_with, node.result().regressions) == ("", ())


def test_another_engine_or_other_options_are_not_compared(node: Node) -> None:
    node.run()
    (node.root / "state" / "results" / "engine.json").write_text(json.dumps({"version": "0.24.0", "options": {}}))
    node.run()
    assert node.result().compared_with == ""


def test_a_torn_record_is_passed_over(node: Node) -> None:
    node.run()
    first = node.result().at
    (node.records / "29990101T000000Z.json").write_text('{"figures": ')
    node.run()
    assert node.result().compared_with == first


def test_requests_of_former_runs_are_not_taken_for_clients(node: Node) -> None:
    node.run()
    assert node.result().lengths.own_requests == 0
    node.run()
    assert (node.result().lengths.own_requests, node.result().lengths.requests) == (8, 192)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"served": {"completed": 6, "failed": 2}}, "6 of 8 requests were served: read journalctl -u nodestack-bench"),
        ({"leaves_a_result": False}, "it ended without a result: read journalctl -u nodestack-bench.service"),
        ({"states": {"now": "activating"}}, "a benchmark is running (nodestack-bench.service)"),
        ({"url": "http://127.0.0.1:1"}, "the engine does not answer at http://127.0.0.1:1"),
    ],
)
def test_without_figures_nothing_is_recorded_and_the_reason_is_told(
    node: Node, change: dict[str, Any], said: str
) -> None:
    for name, value in change.items():
        getattr(node, name).update(value) if name == "states" else setattr(node, name, value)
    status, told = node.run()
    assert status == 1
    assert told.startswith("nothing was measured: ") and said in told
    assert told.count("\n") == 1
    assert not (node.root / "state" / "results" / "bench.json").exists()


def test_a_load_that_hits_its_bound_says_how_to_ask_for_less(tmp_path: Path) -> None:
    with pytest.raises(measure.BenchError, match="did not end within 60 s: say fewer --requests"):
        measure.figures(tmp_path / "none.json", {"timeout_s": 60.0, "requests": 8}, 61)


def test_the_load_is_what_was_asked_and_the_key_is_no_argument_of_it() -> None:
    asked = {
        "url": "https://gateway", "model": "tiny", "tokenizer": "/weights", "prompt_tokens": 16, "output_tokens": 64,
        "requests": 8, "concurrency": 4, "seed": 7,
    }  # fmt: skip
    options = bench_engine.arguments(asked, "/results")
    assert {"--num-prompts=8", "--max-concurrency=4", "--random-input-len=16", "--random-output-len=64"} <= set(options)
    assert "--ready-check-timeout-sec=0" in options
    assert not any("key" in option or "header" in option for option in options)
