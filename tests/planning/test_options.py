import json
import shlex

import pytest
from pydantic import JsonValue

from nodestack.catalog import load
from nodestack.catalog.engine_options import option_table
from nodestack.planning.options import OWNED, config_file, kubernetes_args, serve_command, serve_words
from nodestack.planning.parallel import Parallel
from tests.engine_parsers import Asked, Verdict, judge
from tests.option_sets import VERSIONS, planned

WEIGHTS = "/srv/weights of mine/current"

SETS: dict[str, dict[str, JsonValue]] = {
    "8 GPUs": planned(Parallel(8)),
    "4 GPUs": planned(Parallel(4)),
    "3 stages": planned(Parallel(1, 3)),
    "2 machines": planned(Parallel(8, 2)),
    "whole experts": planned(Parallel(8, expert=True)),
    "a CPU": planned(Parallel(1), "cpu"),
    "first tokens soon": planned(Parallel(8), performance_mode="interactivity"),
    "most tokens": planned(Parallel(8), performance_mode="throughput"),
    "tools": planned(Parallel(4), enable_prefix_caching=True, structured_outputs_config={"backend": "auto"}),
    "denied": planned(Parallel(8), async_scheduling=False, enable_prefix_caching=False),
    "words that a shell would eat": planned(
        Parallel(8),
        override_generation_config={"stop": ["a b", "$(HOME)", "it's"], "temperature": 0.6},
        chat_template="{{ messages }} 'quoted' \"twice\" $HOME $(HOME)",
        cudagraph_capture_sizes=[1, 2, 4],
        generation_config="vllm",
    ),
}


def test_ranks_become_options_only_when_they_are_used() -> None:
    assert "pipeline-parallel-size" not in planned(Parallel(8))
    assert "enable-expert-parallel" not in planned(Parallel(8))
    shared = planned(Parallel(4, 2, expert=True))
    assert (shared["tensor-parallel-size"], shared["pipeline-parallel-size"]) == (4, 2)
    assert shared["enable-expert-parallel"] is True


def test_a_cpu_has_no_share_of_gpu_memory_and_no_graphs() -> None:
    assert planned(Parallel(1), "cpu")["enforce-eager"] is True
    assert "gpu-memory-utilization" not in planned(Parallel(1), "cpu")


def test_sequences_in_flight_are_always_said() -> None:
    assert all(options["max-num-seqs"] == 64 for options in SETS.values())


def test_what_a_stack_sets_itself_wins() -> None:
    assert planned(Parallel(8), dtype="float16")["dtype"] == "float16"


def test_a_denial_has_its_own_name_in_the_file_because_the_engine_leaves_out_what_is_false() -> None:
    assert config_file({"async-scheduling": False, "kv-cache-metrics": True, "max-num-seqs": 0}) == {
        "no-async-scheduling": True,
        "kv-cache-metrics": True,
        "max-num-seqs": 0,
    }


@pytest.mark.parametrize("name", SETS)
def test_a_shell_reads_the_line_as_the_words(name: str) -> None:
    assert shlex.split(serve_command(WEIGHTS, SETS[name])) == serve_words(WEIGHTS, SETS[name])


def test_the_line_is_what_a_person_would_write() -> None:
    options: dict[str, JsonValue] = {
        "dtype": "bfloat16",
        "enforce-eager": False,
        "structured-outputs-config": {"backend": "auto"},
        "cudagraph-capture-sizes": [1, 2],
    }
    assert serve_command("/weights", options) == (
        "vllm serve /weights --dtype bfloat16 --no-enforce-eager "
        '--structured-outputs-config \'{"backend":"auto"}\' --cudagraph-capture-sizes 1 2'
    )


def test_kubernetes_keeps_a_dollar_as_it_is() -> None:
    arguments = kubernetes_args("/weights", {"chat-template": "$(HOME) $HOME"})
    assert arguments == ["/weights", "--chat-template", "$$(HOME) $HOME"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_settings_own_are_options_of_every_version(version: str) -> None:
    assert set(OWNED) <= set(option_table(version).options)


@pytest.mark.qualify
@pytest.mark.vllm
@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_parser_takes_every_set_and_reads_file_line_and_arguments_alike(version: str) -> None:
    asked = [
        one
        for options in SETS.values()
        for one in (
            Asked(options=config_file(options)),
            Asked(words=shlex.split(serve_command("MODEL", options))[1:]),
            Asked(words=["serve", *(word.replace("$$(", "$(") for word in kubernetes_args("MODEL", options))]),
        )
    ]
    verdicts = judge(version, asked)
    assert [verdict.said for verdict in verdicts if verdict.kind] == []
    for number, (name, options) in enumerate(SETS.items()):
        from_file, from_line, from_arguments = verdicts[3 * number : 3 * number + 3]
        assert understood(from_file) == understood(from_line) == understood(from_arguments), name
        for option, value in options.items():
            assert same(from_file.values[option.replace("-", "_")], value), (name, option)


def understood(verdict: Verdict) -> dict[str, JsonValue]:
    return {name: value for name, value in verdict.values.items() if name not in {"model", "model_tag"}}


def same(understood_value: JsonValue, value: JsonValue) -> bool:
    if isinstance(value, dict) and isinstance(understood_value, str):
        # A group becomes an object of the engine's, which shows its keys.
        return all(f"{key}={inner!r}" in understood_value for key, inner in value.items())
    return understood_value == value


def test_sets_reach_both_flagship_nodes() -> None:
    shapes = load().nodes.shapes
    assert {shapes[name].gpu_count for name in ("8x-h100-sxm5", "4x-h200-sxm5")} == {
        json.loads(json.dumps(SETS[name]["tensor-parallel-size"])) for name in ("8 GPUs", "4 GPUs")
    }
