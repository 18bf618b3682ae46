"""Numbers of a service level: where each comes from, and that it follows the arithmetic."""

from typing import Literal

import pytest

from nodestack.catalog import load
from nodestack.planning.service_level import Chooser
from nodestack.settings import ServingSettings, WorkloadSettings
from tests.planning.plans import plan

PROFILES = load().profiles
Name = Literal["ttft", "throughput", "reasoning", "tools"]


def chooser(profile: Name = "reasoning", serving: ServingSettings | None = None) -> Chooser:
    return Chooser(PROFILES, PROFILES.profiles[profile], serving or ServingSettings(profile=profile))


def held(length: int, step: int) -> float:
    """A cache of 2 million tokens in which a step takes three times its tokens of each sequence."""
    return 2_000_000 / (length + 3 * min(4095 + step, length))


@pytest.mark.parametrize(("trace", "length"), [(40000, 40960), (1, 1024), (32768, 32768), (262000, 262144)])
def test_the_longest_sequence_follows_the_workload_up_to_a_whole_step(trace: int, length: int) -> None:
    chosen = chooser().max_model_len(WorkloadSettings(trace_length_p95=trace), 262144)
    assert chosen.value == length
    assert str(trace) in chosen.why


def test_a_workload_just_below_the_models_longest_gets_the_models_longest() -> None:
    assert chooser().max_model_len(WorkloadSettings(trace_length_p95=8100), 8150).value == 8150


def test_without_a_workload_the_profile_starts_and_says_what_to_measure() -> None:
    chosen = chooser("ttft").max_model_len(WorkloadSettings(), 262144)
    assert chosen.value == 32768 and "trace_length_p95" in chosen.why


@pytest.mark.parametrize(("profile", "step"), [("ttft", 2048), ("reasoning", 4096), ("throughput", 8192)])
def test_a_step_displaces_no_more_sequences_than_its_profile_allows(profile: Name, step: int) -> None:
    chosen = chooser(profile).max_num_batched_tokens(65536 if profile == "reasoning" else 32768, held)
    assert chosen.value == step


def test_the_guides_65536_is_never_chosen() -> None:
    assert max(PROFILES.batched_tokens) == 16384


def test_sequences_in_flight_are_what_the_cache_holds_at_the_length_that_counts() -> None:
    assert chooser("reasoning").max_num_seqs(65536, 4096, held).value == int(held(65536, 4096))
    assert chooser("throughput").max_num_seqs(32768, 8192, held).value == int(held(16384, 8192))


def test_sequences_in_flight_keep_to_the_profiles_bound_and_never_reach_none() -> None:
    assert chooser("ttft").max_num_seqs(1024, 2048, held).value == 32
    assert chooser("reasoning").max_num_seqs(65536, 4096, lambda length, step: 0.3).value == 1


def test_what_the_stack_sets_is_taken_as_it_is() -> None:
    serving = ServingSettings(max_model_len=7, max_num_seqs=3, max_num_batched_tokens=5, kv_cache_dtype="auto")
    ours = chooser(serving=serving)
    assert ours.max_model_len(WorkloadSettings(trace_length_p95=99), 100).value == 7
    assert ours.max_num_batched_tokens(7, held).value == 5
    assert ours.max_num_seqs(7, 5, held).value == 3
    assert ours.kv_cache_dtype("gpu").value == "auto"


def test_profiles_differ_in_what_the_engine_is_started_with() -> None:
    made = {name: plan(serving={"profile": name}).options for name in PROFILES.profiles}
    assert made["ttft"]["performance-mode"] == "interactivity"
    assert made["throughput"]["performance-mode"] == "throughput"
    assert made["reasoning"]["max-model-len"] == 65536
    assert made["tools"]["structured-outputs-config"] == {"backend": "auto"}
    assert all("chunked-prefill-size" not in options for options in made.values())
