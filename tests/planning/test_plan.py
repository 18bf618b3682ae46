"""Plans as a whole: what is refused, what is warned of, and what a stack gets of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nodestack.catalog import load
from nodestack.errors import CatalogError, PlanError
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan, require
from nodestack.planning.result import Plan
from nodestack.provisioning.document import MACHINE_FIELDS, NodeDocument
from nodestack.settings import parse
from tests.planning.plans import plan, request
from tests.stacks import config

GIB = 2**30


def local_plan() -> Plan:
    return require(make_plan(parse(config()).request, load()))


def refusal(**sections: Any) -> str:
    made = plan(**sections)
    assert not made.fits
    return "\n".join(made.refusals)


def test_the_measured_start_on_four_h200_is_predicted_within_half_a_percent() -> None:
    """FP8-Block, TP4, fp8 KV, 0.90, 262144 and 8192: 26.73 GiB a GPU, 3,275,586 tokens, 12.50x in the log."""
    start = load().measurements[0]
    serving = {"max_model_len": 262144, "max_num_batched_tokens": 8192, "kv_cache_dtype": "fp8"}
    estimated = plan(node={"shape": "4x-h200-sxm5"}, serving=serving).kv
    assert estimated is not None
    assert estimated.tokens == pytest.approx(start.tokens, rel=5e-3)
    assert estimated.concurrency == pytest.approx(start.concurrency, rel=5e-3)
    given = make_plan(request(node={"shape": "4x-h200-sxm5"}, serving=serving), load(), start.kv_bytes_per_gpu).kv
    assert given is not None and given.basis == "given"
    assert given.tokens == pytest.approx(start.tokens, rel=1e-3)


def test_the_local_stack_is_free_and_says_why() -> None:
    cost = local_plan().cost
    assert (cost.usd_per_hour, cost.usd_per_month) == (0, 0)
    assert cost.basis.startswith("free: ")


def test_the_local_stack_knows_what_its_cpu_cache_holds() -> None:
    """1 GiB of blocks of 128 tokens of 2 x 2 x 32 x 2 bytes; a sequence takes 8 of them and three times 9."""
    kv = local_plan().kv
    assert kv is not None and kv.basis == "set"
    assert kv.tokens == int(GIB / (256 * 128) / (8 + 3 * 9) * 1024)


def test_a_local_cloud_has_no_gpus_and_no_other_cloud_has_replayed_ones() -> None:
    assert "cloud.kind 'local' has no node of shape '8x-h100-sxm5'" in refusal(cloud="local")
    said = refusal(cloud="spheron", node={"shape": "local"}, engine={"build": "cpu"})
    assert "cloud.kind 'spheron' has no node of shape 'local'" in said


@pytest.mark.parametrize(
    ("base_url", "kind", "fits"),
    [
        ("http://127.0.0.1:1", "spheron-sim", True),
        ("http://127.0.0.1:1/v1", "verda-sim", True),
        ("", "spheron", False),
        ("", "verda", False),
    ],
)
def test_only_a_simulated_cloud_sells_this_machines_nodes(base_url: str, kind: str, fits: bool) -> None:
    account = {"kind": kind.removesuffix("-sim")} | ({"base_url": base_url} if base_url else {})
    asked = parse(config(cloud=None) | {"nodestack:cloud": json.dumps(account)}).request
    assert (asked.cloud, make_plan(asked, load()).fits) == (kind, fits)


def test_bf16_does_not_fit_eight_h100_and_the_refusal_shows_the_arithmetic() -> None:
    said = refusal(model={"format": "bf16"})
    assert "the weights do not fit: 77.0 GB usable of 85.5 GB a GPU, less 99.8 GB weights" in said


def test_one_gpu_of_48_gb_holds_400_billion_parameters_at_no_precision_served() -> None:
    for form in ("bf16", "fp8-block", "w4a16", "nvfp4"):
        assert "the weights do not fit" in refusal(node={"shape": "1x-l40s-pcie"}, model={"format": form})


def test_three_ranks_cannot_share_a_layer_but_three_stages_can_share_the_model() -> None:
    sections = {"node": {"shape": "3x-h200-sxm5"}, "model": {"format": "w4a16"}}
    assert "8 KV heads / 3 = 2.67" in refusal(**sections, serving={"tensor_parallel_size": 3})
    made = plan(**sections)
    assert made.fits
    assert (made.parallel.tensor_parallel_size, made.parallel.pipeline_parallel_size) == (1, 3)
    assert any("pipeline stages hold unequal weights" in warning for warning in made.warnings)


def test_two_h200_are_too_tight_and_the_warning_says_by_how_much() -> None:
    made = plan(node={"shape": "2x-h200-sxm5"}, model={"format": "w4a16"})
    assert made.fits
    assert any("2x-h200-sxm5 is tight" in warning and "production wants 32" in warning for warning in made.warnings)


def test_pcie_is_refused_in_production_and_warned_of_in_development() -> None:
    shape = {"shape": "8x-h100-pcie"}
    assert "over PCIe" in refusal(node=shape)
    made = plan(node=shape | {"purpose": "development"})
    assert made.fits and any("over PCIe" in warning for warning in made.warnings)


def test_nvfp4_on_hopper_is_refused_in_production_and_warned_of_in_development() -> None:
    sections = {"node": {"shape": "4x-h200-sxm5"}, "model": {"format": "nvfp4"}}
    assert "compute capability 10.0" in refusal(**sections)
    made = plan(**{**sections, "node": {"shape": "4x-h200-sxm5", "purpose": "development"}})
    assert made.fits and any("compute capability 10.0" in warning for warning in made.warnings)


def test_a_volume_too_small_for_the_weights_is_refused_with_the_size_to_ask_for() -> None:
    said = refusal(volume={"size_gib": 300})
    assert "volume.size_gib is 300 (322.1 GB), weights, engine and caches need 428.8 GB: ask for 400 GiB" in said


def test_a_format_without_a_known_pin_is_refused_to_a_stack_and_a_warning_to_who_only_asks() -> None:
    form = {"format": "w4a16"}
    assert "no commit of arcee-ai/Trinity-Large-Thinking-W4A16 is pinned" in refusal(cloud="spheron", model=form)
    assert plan(model=form).fits
    with pytest.raises(PlanError, match="40 hex digits"):
        assert plan(model=form).pin


def test_more_sequences_than_the_cache_holds_are_warned_of() -> None:
    made = plan(serving={"max_num_seqs": 500})
    assert any("serving.max_num_seqs is 500, the cache holds 59" in warning for warning in made.warnings)


def test_two_sizes_that_contradict_each_other_are_refused_by_their_own_names() -> None:
    said = refusal(serving={"max_num_seqs": 64, "max_num_batched_tokens": 32})
    assert "serving.max_num_seqs is 64" in said and "max-num-batched-tokens: 32" in said


def test_a_cache_that_holds_not_one_sequence_is_refused() -> None:
    said = refusal(serving={"max_model_len": 262144, "gpu_memory_utilization": 0.67})
    assert "not one sequence of 262144 tokens fits" in said


def test_an_fp8_cache_on_a_cpu_is_refused_beforehand() -> None:
    said = refusal(node={"shape": "local"}, engine={"build": "cpu"}, serving={"kv_cache_dtype": "fp8"})
    assert "serving.kv_cache_dtype is 'fp8'" in said and "AVX-512" in said


def test_an_engine_build_that_the_shape_cannot_run_is_refused() -> None:
    assert "engine.build is 'cpu', node.shape '8x-h100-sxm5' runs the 'cuda' build" in refusal(engine={"build": "cpu"})


def test_an_engine_that_nodes_cannot_get_is_refused_to_a_stack_only() -> None:
    engine = {"version": "0.32.0"}
    assert "engine.version '0.32.0' can be planned, nodes can get 0.23.0" in refusal(cloud="spheron", engine=engine)
    assert plan(engine=engine).fits


def test_the_engines_that_nodes_can_get_are_those_with_locks() -> None:
    locks = Path(__file__).parents[2] / "playbooks/roles/vllm/files"
    for version, engine in load().engines.items():
        assert engine.on_nodes == (locks / f"requirements-{version}-cuda.txt").exists()


def test_a_sequence_longer_than_the_model_knows_is_refused_wherever_it_was_said() -> None:
    assert "serving.max_model_len is 300000, the model knows 262144" in refusal(serving={"max_model_len": 300000})
    said = refusal(workload={"trace_length_p95": 300000})
    assert "workload.trace_length_p95 is 300000, the model knows 262144" in said


def test_every_reason_comes_in_one_message() -> None:
    asked = request(
        cloud="local",
        model={"format": "bf16"},
        volume={"size_gib": 10},
        serving={"options": {"dtype": "fp8", "chunked-prefill-size": 512}},
    )
    with pytest.raises(PlanError) as said:
        require(make_plan(asked, load()))
    for part in ("cloud.kind", "do not fit", "volume.size_gib", "dtype", "chunked-prefill-size"):
        assert part in str(said.value)


@pytest.mark.parametrize(
    ("section", "key"), [("model", "name"), ("model", "format"), ("node", "shape"), ("engine", "version")]
)
def test_a_name_that_the_catalogue_lacks_is_refused_with_key_and_value(section: str, key: str) -> None:
    with pytest.raises(CatalogError, match=rf"{section}\.{key} is 'nope', known are: "):
        plan(**{section: {key: "nope"}})


def test_a_model_whose_numbers_nobody_knows_is_refused_with_their_names() -> None:
    catalog, ours = load(), load().model("trinity-large-thinking")
    known = catalog.model("deepseek-r2").model_copy(update={"formats": ours.formats})
    asked = request(model={"name": "deepseek-r2"})
    with pytest.raises(CatalogError, match=r"models\.deepseek-r2\.architecture\.kv_heads"):
        make_plan(asked, catalog.model_copy(update={"models": {"deepseek-r2": known}}))


def test_a_format_that_is_not_served_is_refused_though_its_numbers_are_not_known() -> None:
    with pytest.raises(PlanError, match="gguf is not served here"):
        plan(model={"format": "gguf"})


def test_a_machine_too_small_to_load_the_weights_is_refused() -> None:
    catalog = load()
    small = catalog.shape("8x-h100-sxm5").model_copy(update={"memory_gib": 32})
    nodes = catalog.nodes.model_copy(update={"shapes": catalog.nodes.shapes | {"8x-h100-sxm5": small}})
    made = make_plan(request(), catalog.model_copy(update={"nodes": nodes}))
    assert "8x-h100-sxm5 has 32 GiB of memory a machine" in made.refusals[0]


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("HF_HUB_OFFLINE", "engine.environment.HF_HUB_OFFLINE is nodestack's own"),
        ("PYTHONPATH", "engine.environment.PYTHONPATH runs code"),
        ("LD_PRELOAD", "engine.environment.LD_PRELOAD runs code"),
        ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "lets clients load adapters"),
        ("HF_TOKEN", "engine.environment.HF_TOKEN is a secret by its name"),
        ("VLLM_API_KEY", "engine.environment.VLLM_API_KEY is a secret by its name"),
    ],
)
def test_variables_that_let_in_what_nothing_verified_are_refused(variable: str, said: str) -> None:
    assert said in refusal(engine={"environment": {variable: "1"}})


def test_other_variables_are_the_stacks_own() -> None:
    assert plan(engine={"environment": {"NCCL_DEBUG": "INFO", "VLLM_LOGGING_LEVEL": "DEBUG"}}).fits


def test_the_document_lacks_only_what_a_machine_decides() -> None:
    document = node_document(parse(config()), local_plan(), load())
    assert NodeDocument.model_fields.keys() - document.keys() == MACHINE_FIELDS
    try:
        NodeDocument.model_validate(document | dict.fromkeys(MACHINE_FIELDS, ""))
    except ValidationError as error:  # pragma: no cover - the assertion is that this does not happen
        pytest.fail(str(error))


def test_parsers_come_from_the_model_not_from_the_guide() -> None:
    options = local_plan().options
    assert (options["reasoning-parser"], options["tool-call-parser"]) == ("deepseek_r1", "qwen3_coder")


def test_a_checkpoint_without_a_chat_template_gets_no_parsers_and_the_smoke_test_it_can_pass() -> None:
    made = plan(model={"name": "trinity-large-truebase", "format": "bf16"}, node={"shape": "16x-h100-sxm5"})
    assert made.smoke_kind == "completion"
    assert not {"reasoning-parser", "tool-call-parser", "enable-auto-tool-choice"} & made.options.keys()


def test_a_stack_overrides_what_a_profile_chose() -> None:
    made = plan(serving={"profile": "throughput", "options": {"performance-mode": "balanced"}, "max_num_seqs": 7})
    assert made.options["performance-mode"] == "balanced"
    assert made.options["max-num-seqs"] == 7
    assert made.service_level.max_num_seqs.why == "the stack sets it"


def test_the_printed_line_has_what_the_unit_gets() -> None:
    made = plan()
    for name, value in made.options.items():
        assert f"--{name}" in made.serve_command and (value is True or str(value) in made.serve_command)
    assert "--host 127.0.0.1 --port 8000 --shutdown-timeout 120" in made.serve_command


def with_memory(gib: int | None) -> Plan:
    catalog = load()
    shape = catalog.shape("8x-h100-sxm5").model_copy(update={"memory_gib": gib})
    nodes = catalog.nodes.model_copy(update={"shapes": catalog.nodes.shapes | {"8x-h100-sxm5": shape}})
    return make_plan(request(), catalog.model_copy(update={"nodes": nodes}))


def test_weights_are_read_ahead_unless_the_machine_is_known_to_be_too_small_for_them() -> None:
    strategy = "safetensors-load-strategy"
    assert [with_memory(gib).options.get(strategy) for gib in (None, 2048, 256)] == ["prefetch", "prefetch", None]


def test_another_loader_or_a_word_of_the_stack_decides_how_weights_are_read() -> None:
    strategy = "safetensors-load-strategy"
    assert strategy not in plan(serving={"options": {"load-format": "fastsafetensors"}}).options
    assert plan(serving={"options": {strategy: "lazy"}}).options[strategy] == "lazy"
