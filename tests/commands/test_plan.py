import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodestack.catalog import load
from tests.commands.runs import ROOT, THINKING, inside, nodestack

H200 = (*THINKING, "--node", "4x-h200-sxm5")


def planned(*arguments: str, code: int = 0) -> dict[str, Any]:
    found = inside("plan", *arguments, "--json")
    assert found.returncode == code, found.stderr
    plan = json.loads(found.stdout)
    assert isinstance(plan, dict)
    return plan


def refused(*arguments: str) -> list[str]:
    """Run `plan` and return the lines of its one message."""
    found = inside("plan", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    first, *problems = found.stderr.rstrip("\n").split("\n  ")
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    assert first == f"error: what is asked for is wrong in {places}:"
    return problems


def test_a_plan_that_fits_ends_with_0_and_tells_everything_without_colour() -> None:
    found = nodestack("plan", *H200)
    assert (found.returncode, found.stderr) == (0, "")
    assert "\x1b" not in found.stdout
    assert max(len(line) for line in found.stdout.splitlines()) <= 100
    for told in ("It fits", "Memory of the tightest GPU", "naive estimate", "vllm serve", "break-even", "Sources"):
        assert told in found.stdout


def test_a_plan_that_does_not_fit_ends_with_1_and_shows_arithmetic_and_table_all_the_same() -> None:
    found = nodestack("plan", *THINKING, "--node", "8x-h100-sxm5", "--format", "bf16")
    assert (found.returncode, found.stderr) == (1, "")
    assert "the weights do not fit: 77.0 GB usable of 85.5 GB a GPU" in found.stdout
    assert "lacking" in found.stdout
    assert "vllm serve" in found.stdout
    assert planned(*THINKING, "--node", "8x-h100-sxm5", "--format", "bf16", code=1)["fits"] is False


def test_without_a_format_it_is_the_first_that_fits_or_else_the_first() -> None:
    formats = list(load().models["trinity-large-thinking"].formats)
    assert formats[:2] == ["bf16", "fp8-block"]
    assert planned(*H200)["format"] == "fp8-block"
    assert planned(*THINKING, "--node", "1x-l40s-pcie", code=1)["format"] == "bf16"


def test_without_an_engine_it_is_the_one_that_the_catalogue_names() -> None:
    assert planned(*H200)["engine_version"] == load().rules.engine.default_version
    assert planned(*H200, "--engine", "0.32.0")["engine_version"] == "0.32.0"


def test_a_shape_that_computes_on_a_cpu_gets_the_cpu_build() -> None:
    plan = planned("--model", "tiny-afmoe-thinking", "--node", "local")
    assert plan["memory_per_rank"] is None


def test_the_logged_memory_of_a_real_start_gives_the_logged_tokens_and_concurrency() -> None:
    start = load().measurements[0]
    plan = planned(
        *(*THINKING, "--node", start.shape, "--format", start.format, "--kv-bytes-per-gpu", "26.73GiB"),
        *("--set", f"serving.max_model_len={start.max_model_len}"),
        *("--set", f"serving.max_num_batched_tokens={start.max_num_batched_tokens}"),
    )
    assert plan["kv"]["basis"] == "given"
    assert plan["kv"]["tokens"] == pytest.approx(start.tokens, rel=0.005)
    assert plan["kv"]["concurrency"] == pytest.approx(start.concurrency, rel=0.005)


def test_every_way_to_set_a_value_reaches_the_plan(tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("".join(f"{length}\n" for length in range(1, 101)), encoding="utf-8")
    plan = planned(
        *(*H200, "--profile", "throughput"),
        *("--set", "cost.utilisation=0.6"),
        *("--set", f"workload.trace_lengths_file={tmp_path / 'lengths.txt'}"),
        *("--set", "serving.max_num_seqs=7"),
        *("--set", "serving.options.stream-interval=4"),
        *("--set", "nodestack:node.purpose=development"),
    )
    assert plan["cost"]["utilisation"] == 0.6
    assert plan["service_level"]["profile"] == "throughput"
    assert plan["service_level"]["max_num_seqs"] == {"value": 7, "why": "the stack sets it"}
    assert plan["service_level"]["max_model_len"]["value"] == 1024
    assert "95 tokens" in plan["service_level"]["max_model_len"]["why"]
    assert plan["options"]["stream-interval"] == 4


def test_a_stack_is_planned_from_its_file_or_template_and_may_be_changed_on_the_line() -> None:
    plan = planned("--stack", "production")
    assert (plan["model"], plan["shape"]) == ("trinity-large-thinking", "8x-h100-sxm5")
    other = planned("--stack", "production", "--node", "4x-h200-sxm5", "--set", "serving.max_model_len=8192")
    assert (other["shape"], other["service_level"]["max_model_len"]["value"]) == ("4x-h200-sxm5", 8192)


def stack(directory: Path, text: str) -> None:
    (directory / "Pulumi.yaml").write_text("name: nodestack\n", encoding="utf-8")
    (directory / "stacks").mkdir()
    (directory / "stacks" / "Pulumi.mine.yaml").write_text(text, encoding="utf-8")


MINE = """\
config:
  other:key: ignored
  nodestack:api_key: {secure: v1:abc}
  nodestack:cloud: {kind: local}
  nodestack:node: {shape: local, driver_repository: x, driver_repository_key_url: y}
  nodestack:model: {name: tiny-afmoe-thinking, format: bf16}
  nodestack:engine: {version: 0.23.0, build: cpu}
  nodestack:workload: {trace_lengths_file: lengths.txt}
"""


def test_a_stacks_secrets_are_not_needed_and_its_files_are_found_from_anywhere_in_the_checkout(tmp_path: Path) -> None:
    stack(tmp_path, MINE)
    (tmp_path / "lengths.txt").write_text("1000\n", encoding="utf-8")
    found = nodestack("plan", "--stack", "mine", "--json", directory=tmp_path / "stacks")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["service_level"]["max_model_len"]["value"] == 1024


def test_unknown_keys_of_a_stack_are_refused_in_sections_and_beside_them(tmp_path: Path) -> None:
    stack(tmp_path, f"{MINE}  nodestack:nodes: {{}}\n".replace("driver_repository: x", "driver: x"))
    found = nodestack("plan", "--stack", "mine", directory=tmp_path)
    assert found.returncode == 2
    assert "nodestack:node.driver is no setting" in found.stderr
    assert "nodestack:nodes is no setting; did you mean nodestack:node?" in found.stderr
    assert "nodestack:workload.trace_lengths_file is 'lengths.txt': it cannot be read" in found.stderr


def test_all_that_is_wrong_with_a_line_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("100\nmany words\n", encoding="utf-8")
    problems = refused(
        *("--model", "trinity-large-thinkin", "--node", "8x-h10", "--engine", "0.22.0", "--profile", "fast"),
        *("--set", "cost.live_price={usd_per_hour: -3, source: me, date: 2026-11-22}"),
        *("--set", f"workload.trace_lengths_file={tmp_path / 'lengths.txt'}"),
        *(
            "--set",
            "serving.max_model_length=1",
            "--set",
            "bogus",
            "--kv-bytes-per-gpu",
            "lots",
            "--set",
            "cost.api=gpt",
        ),
    )
    told = "\n".join(problems)
    for what in (
        "model.name is 'trinity-large-thinkin', known are",
        "node.shape is '8x-h10', known are",
        "engine.version is '0.22.0', known are",
        "serving.profile is 'fast'",
        "cost.live_price.usd_per_hour is -3: input should be greater than 0",
        "line 2 is 'many words'",
        "serving.max_model_length is no setting; did you mean nodestack:serving.max_model_len?",
        "--set bogus: say KEY=VALUE",
        "--kv-bytes-per-gpu is 'lots'",
        "cost.api is 'gpt', known are: claude-opus-4.6",
    ):
        assert what in told
    assert len(problems) == 10


def test_what_model_and_engine_never_do_is_told_with_the_rest() -> None:
    problems = refused(
        *(*THINKING, "--node", "8x-h10", "--format", "fp8"),
        *("--set", "serving.max_model_len=300000"),
        *("--set", "serving.options={enable-prefix-caching: true, no-enable-prefix-caching: true, dtype: fp8}"),
    )
    told = "\n".join(problems)
    assert "serving.max_model_len is 300000, trinity-large-thinking knows 262144 positions" in told
    assert "serving.options.enable-prefix-caching is said twice" in told
    assert "serving.options.dtype" in told
    assert "model.format is 'fp8', known are" in told
    assert len(problems) == 5


def test_a_context_too_long_for_the_model_is_bad_input_also_alone() -> None:
    problems = refused(*H200, "--set", "serving.max_model_len=300000")
    assert problems == ["nodestack:serving.max_model_len is 300000, trinity-large-thinking knows 262144 positions"]


def test_a_model_without_numbers_is_refused_by_their_names() -> None:
    problems = refused("--model", "deepseek-r2", "--node", "8x-h100-sxm5")
    assert "models.deepseek-r2.architecture.kv_heads" in problems[0]


def test_nothing_asked_and_a_stack_that_is_not_there_say_what_there_is() -> None:
    found = inside("plan")
    assert found.returncode == 2
    assert "say --stack NAME, or --model NAME and --node SHAPE" in found.stderr
    assert refused("--stack", "nope") == [
        "--stack nope: there is neither stacks/Pulumi.nope.yaml nor stacks/templates/nope.yaml"
    ]


def test_a_file_of_the_users_own_adds_a_node_and_a_price(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "shapes:\n  my-node: {gpu: h200-141gb-sxm5, gpu_count: 4, nvswitch: true, runs_on: gpu}\n"
        "prices:\n  my-node:\n    on_demand: {usd_per_hour: 9.5, source: my contract, date: 2026-11-22}\n",
        encoding="utf-8",
    )
    plan = planned(*THINKING, "--node", "my-node", "--catalog", str(own))
    assert plan["cost"]["usd_per_hour"] == 9.5


def test_a_file_that_is_no_catalogue_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("nodes: {}\n", encoding="utf-8")
    found = nodestack("plan", *H200, "--catalog", str(tmp_path / "own.yaml"))
    assert found.returncode == 2
    assert "nodes is no key" in found.stderr


def test_every_command_teaches_with_an_example_and_its_exit_codes() -> None:
    for command in (("plan",), ("compare",), ("report",), ("config", "explain")):
        told = nodestack(*command, "--help").stdout
        assert f"nodestack {' '.join(command)} " in told.partition("examples:")[2]
        assert "exit codes: 0 " in told


def test_a_plan_needs_neither_the_engine_nor_a_client() -> None:
    listed = "import sys; from nodestack.cli import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    command = [sys.executable, "-c", listed, "plan", *H200, "--json"]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    for module in ("pulumi", "grpc", "paramiko", "ansible_runner", "httpx", "matplotlib", "jinja2"):
        assert f"'{module}'" not in loaded
