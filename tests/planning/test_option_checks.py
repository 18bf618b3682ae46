import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from nodestack.catalog.corrections import Correction, corrections
from nodestack.catalog.engine_options import option_table
from nodestack.planning import unverified
from nodestack.planning.option_checks import NOTICED, Checked
from nodestack.planning.parallel import Parallel
from tests.option_sets import CATALOG, VERSIONS, WRONG_OPTIONS, as_said, checker, label, planned

PLANNED = planned(Parallel(8))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def check(
    options: Mapping[str, JsonValue], version: str = "0.23.0", beside: Mapping[str, JsonValue] = PLANNED
) -> Checked:
    return checker(version).check(options, beside)


def only_refusal(checked: Checked) -> str:
    assert len(checked.refusals) == 1, checked.refusals
    return checked.refusals[0]


@pytest.mark.parametrize(("correction", "version"), WRONG_OPTIONS, ids=label)
def test_what_guides_get_wrong_is_refused_or_rewritten_and_says_what_replaces_it(
    correction: Correction, version: str
) -> None:
    checked = checker(version, correction.weights).check(as_said(correction), {})
    rewritten = bool(correction.renamed_to or correction.dropped)
    said = checked.warnings if rewritten else checked.refusals
    assert len(said) == 1
    assert correction.instead in said[0]
    assert NOTICED[correction.kind].format(version=version) in said[0]
    assert bool(checked.refusals) is not rewritten
    assert correction.name not in checked.options


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_the_guides_wrong_flags(version: str) -> None:
    names = {correction.name for correction, corrected in WRONG_OPTIONS if corrected == version}
    assert names >= {
        "dtype", "chunked-prefill-size", "guided-decoding-backend", "kv-cache-dtype", "quantization",
        "tool-call-parser", "enable-chunked-prefill", "max-num-batched-tokens", "enable-reasoning", "swap-space",
        "disable-log-requests", "num-scheduler-steps", "rope-scaling",
    }  # fmt: skip


@pytest.mark.parametrize("correction", [one for one in corrections() if one.subject == "environment"], ids=label)
def test_variables_that_do_nothing_are_told(correction: Correction) -> None:
    (finding,) = checker("0.23.0").environment({correction.name: "1", "HF_XET_HIGH_PERFORMANCE": "1"})
    assert correction.instead in finding.text
    assert checker("0.23.0").environment({"HF_XET_HIGH_PERFORMANCE": "1"}) == []


def test_a_renamed_option_is_written_under_its_new_name() -> None:
    checked = check({"guided_decoding_backend": "lm-format-enforcer"})
    assert checked.options == {"structured-outputs-config": {"backend": "lm-format-enforcer"}}


def test_a_renamed_option_with_a_wrong_value_is_refused() -> None:
    assert "structured-outputs-config.backend is 'lmfe'" in only_refusal(check({"guided-decoding-backend": "lmfe"}))


def test_an_option_that_says_what_is_so_anyway_is_left_out_and_its_contrary_kept() -> None:
    assert check({"enable-chunked-prefill": True}).options == {}
    assert check({"no-enable-chunked-prefill": True}).options == {"enable-chunked-prefill": False}


def test_three_kinds_of_refusal_are_told_apart() -> None:
    checked = check({"stream-interval": "often", "enable-log-outputs": True, "load-format": "quickly"})
    assert [finding.kind for finding in checked.findings] == ["parser", "load", "configuration"]
    assert "0.23.0 refuses it at once" in checked.refusals[0]
    assert "while it loads the weights" in checked.refusals[1]
    assert "while it makes its configuration" in checked.refusals[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max-num-bached-tokens": 1}, "is no option of vLLM 0.23.0; did you mean max-num-batched-tokens?"),
        ({"--stream-interval": 2}, "is no option of vLLM 0.23.0; did you mean stream-interval?"),
        ({"max-num-scheduled-tokens": 1}, "is no option of vLLM 0.23.0"),
        ({"stream-interval": 1.5}, "is 1.5: it takes a whole number"),
        ({"stream-interval": True}, "is true: it takes a whole number"),
        ({"stream-interval": [1, 2]}, "it takes a whole number, and only one"),
        ({"enforce-eager": "yes"}, "is 'yes': it takes true or false"),
        ({"performance-mode": "fast"}, "it takes one of balanced, interactivity, throughput"),
        ({"max-logprobs": None}, "is None: it takes a whole number"),
        ({"safetensors-prefetch-block-size": "1.5M"}, "is '1.5M': it takes a whole number, which may end in"),
        ({"structured-outputs-config": "xgrammar"}, "it is a group of keys (backend,"),
        ({"structured-outputs-config": {"backnd": "auto"}}, ".backnd is no key of structured-outputs-config; did you"),
        ({"structured-outputs-config.backend": "json"}, ".backend is 'json': it takes one of auto,"),
        ({"hf-overrides": [1]}, "it takes a text or an object, and only one"),
        ({"middleware": ["a.b", "c.d"]}, "it takes a text, and only one"),
        ({"middleware": "--api-key"}, "it takes a text"),
        ({"cudagraph-capture-sizes": []}, "is an empty list, which the engine would leave out"),
        ({"no-enforce-eager": False}, "say enforce-eager: true, or no-enforce-eager: true"),
        ({"no-stream-interval": True}, "is no option of vLLM 0.23.0"),
        ({"lora-modules": ["law"]}, "is 'law': it takes name=path, or JSON with name and path"),
    ],
)
def test_what_a_parser_would_refuse_is_refused_with_what_it_takes(options: dict[str, JsonValue], said: str) -> None:
    refusal = only_refusal(check(options))
    assert said in refusal
    assert refusal.startswith("serving.options.")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"stream_interval": "4"}, {"stream-interval": "4"}),
        ({"no-async-scheduling": True}, {"async-scheduling": False}),
        ({"async-scheduling": False}, {"async-scheduling": False}),
        ({"safetensors-prefetch-block-size": "16M"}, {"safetensors-prefetch-block-size": "16M"}),
        ({"cudagraph-capture-sizes": [1, 2, 4]}, {"cudagraph-capture-sizes": [1, 2, 4]}),
        ({"allowed-origins": ["https://a"]}, {"allowed-origins": '["https://a"]'}),
        ({"structured-outputs-config": '{"backend": "guidance"}'}, None),
        ({"attention-config.flash_attn_version": 3}, {"attention-config": {"flash_attn_version": 3}}),
        (
            {"compilation-config.pass_config.enable_sp": True, "compilation_config.cache_dir": "/c"},
            {"compilation-config": {"pass_config": {"enable_sp": True}, "cache_dir": "/c"}},
        ),
        ({"disable-log-stats": False}, {}),
        ({"attention-config.backend": "FLASH_ATTN"}, {"attention-config": {"backend": "FLASH_ATTN"}}),
        ({"speculative-config": {"method": "ngram", "model": "ngram"}, "worker-cls": "auto"}, None),
        ({"generation-config": "vllm", "tool-parser-plugin": ""}, None),
    ],
)  # fmt: skip
def test_what_a_parser_takes_is_kept_under_its_own_name(
    options: dict[str, JsonValue], kept: dict[str, JsonValue] | None
) -> None:
    checked = check(options)
    assert (checked.refusals, checked.options) == ([], options if kept is None else kept)


@pytest.mark.parametrize(
    ("options", "beside", "said"),
    [
        ({"async-scheduling": True, "no-async-scheduling": True}, {}, "said twice, under different names"),
        ({"stream_interval": 1, "stream-interval": 2}, {}, "said twice, under different names"),
        ({"enable-auto-tool-choice": True}, {}, "set tool-call-parser too"),
        ({"enable-log-outputs": True}, {}, "set enable-log-requests: true"),
        ({"enable-eplb": True}, {}, "set enable-expert-parallel: true"),
        ({"no-enable-chunked-prefill": True}, PLANNED, "65536 is more than max-num-batched-tokens: 8192"),
        ({"kv-cache-memory-bytes": "20G"}, PLANNED, "contradicts gpu-memory-utilization: 0.9"),
        ({"structured-outputs-config": {"disable_additional_properties": True}}, {}, "backend: guidance"),
        ({"kv-transfer-config": {"kv_connector": "x"}}, {}, "set kv-transfer-config.kv_role too"),
        ({"enforce-eager": True, "cudagraph-capture-sizes": [8]}, {}, "contradicts cudagraph-capture-sizes"),
        ({"structured-outputs-config.disable_any_whitespace": True}, {}, "backend: xgrammar or guidance"),
        ({"quantization": "fbgemm_fp8"}, {}, "allow-deprecated-quantization: true"),
    ],
)
def test_options_that_cannot_be_beside_each_other_are_refused(
    options: dict[str, JsonValue], beside: dict[str, JsonValue], said: str
) -> None:
    assert said in "\n".join(check(options, beside=beside).refusals)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trust-remote-code": True}, "trust-remote-code runs whatever code"),
        ({"tool-parser-plugin": "/srv/parser.py"}, "tool-parser-plugin runs code"),
        ({"worker-extension-cls": "ours.Worker"}, "worker-extension-cls runs code"),
        ({"structured-outputs-config.reasoning_parser_plugin": "/srv/p.py"}, "reasoning_parser_plugin runs code"),
        (
            {"structured-outputs-config": '{"reasoning_parser_plugin": "/srv/p.py"}'},
            "reasoning_parser_plugin runs code",
        ),
        (
            {"kv-transfer-config": {"kv_connector": "O", "kv_role": "kv_both", "kv_connector_module_path": "ours"}},
            "kv-transfer-config.kv_connector_module_path runs code",
        ),
        ({"middleware": "ours.Middleware"}, "middleware runs code"),
        ({"logits-processors": ["ours:P"]}, "logits-processors runs code"),
        ({"speculative-config": {"model": "somebody/draft"}}, "speculative-config.model serves weights"),
        ({"speculative-config": '{"model": "somebody/draft"}'}, "speculative-config.model serves weights"),
        ({"lora-modules": ["law=/lora/law"]}, "lora-modules serves weights"),
        ({"load-format": "dummy"}, "load-format serves random weights"),
        ({"tokenizer": "somebody/tokenizer"}, "tokenizer takes files"),
        ({"revision": "main"}, "revision takes files"),
        ({"generation-config": "/srv/generation"}, "generation-config takes files"),
        ({"allowed-local-media-path": "/"}, "lets every client read files"),
    ],
)
def test_what_nothing_verified_is_refused(options: dict[str, JsonValue], said: str) -> None:
    refusal = only_refusal(check(options))
    assert said in refusal
    assert refusal.endswith("(nodestack refuses it)")


def test_every_name_that_stands_for_code_is_found_in_every_version() -> None:
    for version in VERSIONS:
        table = option_table(version).options
        paths = [*table, *(f"{name}.{key}" for name, option in table.items() for key in option.keys or {})]
        code = {path for path in paths if re.search(r"(cls|plugin|module_path)$", path)}
        assert len(code) >= 8
        assert {path for path in code if list(unverified.in_option(path, "ours.Code"))} == code


def test_rules_hold_for_what_was_planned_too_and_name_its_setting() -> None:
    refusals = check({}, beside={"max-num-seqs": 64, "max-num-batched-tokens": 32}).refusals
    assert len(refusals) == 1
    assert refusals[0].startswith("serving.max_num_seqs gives")
    assert "64 is more than max-num-batched-tokens: 32" in refusals[0]


def test_all_problems_are_told_at_once() -> None:
    wrong: dict[str, JsonValue] = {"dtype": "fp8", "swap-space": 4, "stream-interval": "x", "enable-log-outputs": True}
    assert len(check(wrong).refusals) == 4


@pytest.mark.parametrize(
    "name",
    ["max-num-seqs", "max_num_seqs", "no-enable-expert-parallel", "data-parallel-size", "ssl-keyfile", "hf-token"],
)
def test_what_a_setting_says_is_no_free_option(name: str) -> None:
    assert "is not a free option: nodestack sets it from" in only_refusal(check({name: 8}))


def test_another_name_of_what_a_setting_says_is_no_free_option_either() -> None:
    refusal = only_refusal(check({"device-memory-utilization": 0.5}, "0.32.0"))
    assert "from serving.gpu_memory_utilization" in refusal


@pytest.mark.parametrize("name", ["tool-call-parser", "reasoning-parser"])
def test_a_parser_that_is_not_the_models_is_refused_although_the_engine_would_start(name: str) -> None:
    assert "Arcee Trinity Large writes what" in only_refusal(check({name: "kimi_k2"}))
    assert "known are:" in only_refusal(check({name: "arcee"}))
    assert check({"tool-call-parser": "qwen3_coder", "reasoning-parser": "deepseek_r1"}).refusals == []


def test_what_is_wrong_for_one_model_is_right_for_the_one_that_needs_it() -> None:
    ours = checker("0.23.0")
    hermes = replace(ours, model=ours.model.model_copy(update={"tool_call_parser": "hermes"}))
    assert hermes.check({"tool-call-parser": "hermes"}, {}).findings == ()
    assert ours.weights.quantisation is not None
    awq = ours.weights.model_copy(
        update={"quantisation": ours.weights.quantisation.model_copy(update={"method": "awq"})}
    )
    assert replace(ours, weights=awq).check({"quantization": "awq"}, {}).refusals == []


def test_a_quantization_method_is_the_checkpoints_or_refused() -> None:
    assert "the checkpoint's configuration says compressed-tensors" in only_refusal(check({"quantization": "fp8"}))
    assert check({"quantization": "compressed-tensors"}).refusals == []
    plain = checker("0.23.0", "plain").check({"quantization": "fp8"}, {})
    assert "for plain weights" in only_refusal(plain)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_fp8_cache_on_a_cpu_is_refused_beforehand(version: str) -> None:
    on_cpu = checker(version, device="cpu").check({}, {"kv-cache-dtype": "fp8"})
    assert "serving.kv_cache_dtype needs a CPU with AVX-512 or AMX" in only_refusal(on_cpu)
    assert checker(version).check({}, {"kv-cache-dtype": "fp8"}).refusals == []


def test_deprecated_options_and_those_the_plan_does_not_know_are_told_and_kept() -> None:
    checked = check({"calculate-kv-scales": True, "cpu-offload-gb": 4})
    assert checked.refusals == []
    assert [finding.option for finding in checked.findings] == ["calculate-kv-scales", "cpu-offload-gb"]
    assert checked.options == {"calculate-kv-scales": True, "cpu-offload-gb": 4}


def test_what_is_planned_is_never_refused() -> None:
    for version in VERSIONS:
        for parallel in (Parallel(8), Parallel(4), Parallel(1, 3), Parallel(8, 2), Parallel(8, expert=True)):
            assert checker(version).check({}, planned(parallel)).findings == ()


@given(
    st.dictionaries(
        st.sampled_from([*option_table("0.23.0").options, "no", "x.y", ""]) | st.text(max_size=9), JSON, max_size=4
    )
)
def test_any_options_get_an_answer(options: dict[str, JsonValue]) -> None:
    checked = check(options)
    assert checked.refusals or set(checked.options) <= set(option_table("0.23.0").options)


@pytest.mark.parametrize("version", VERSIONS)
def test_rules_and_what_the_plan_does_not_know_name_options_that_exist(version: str) -> None:
    engine, table = CATALOG.engine(version), option_table(version)
    named = {
        name for rule in engine.rules for name in (rule.option, *rule.needs, *rule.given, rule.excludes, rule.at_most)
    }
    for name in {*engine.unplanned, *filter(None, named)}:
        head, _, key = name.partition(".")
        assert head in table.options
        assert not key or key in (table.options[head].keys or {})
