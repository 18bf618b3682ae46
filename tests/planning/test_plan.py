import pytest
from pydantic import ValidationError

from nodestack.catalog import load
from nodestack.errors import CatalogError, PlanError
from nodestack.planning.document import node_document
from nodestack.planning.plan import Plan, make_plan
from nodestack.provisioning.document import NodeDocument
from nodestack.settings import Settings, parse
from tests.stacks import config, gpu_config

MACHINE_FIELDS = {
    "base_identity",
    "storage_device",
    "weights_expected_manifest_sha256",
    "weights_token_file",
    "vllm_api_key_file",
}


def gpu_settings(**sections: dict[str, object] | None) -> Settings:
    """Settings of a GPU stack; the local cloud has no such shape, which one test asserts and the others look past."""
    return parse(gpu_config(**sections))


def refusals(settings: Settings) -> str:
    with pytest.raises(PlanError) as refusal:
        make_plan(settings, load())
    return str(refusal.value)


def local_plan() -> Plan:
    return make_plan(parse(config()), load())


def test_the_local_stack_is_free_and_says_why() -> None:
    cost = local_plan().cost
    assert (cost.usd_per_hour, cost.usd_per_month) == (0, 0)
    assert cost.basis.startswith("free: ")


def test_the_local_cloud_has_no_gpus_to_sell() -> None:
    assert "cloud.kind 'local' has no node of shape '8x-h100-sxm5'" in refusals(gpu_settings())


def test_bf16_does_not_fit_eight_h100_and_the_refusal_shows_the_arithmetic() -> None:
    text = refusals(gpu_settings(model={"format": "bf16"}, volume={"size_gib": 1000}))
    assert "the weights do not fit: 77.0 GB usable of 85.5 GB a GPU, less 99.8 GB weights" in text


def test_a_volume_too_small_for_the_weights_is_refused_with_the_size_to_ask_for() -> None:
    text = refusals(gpu_settings(volume={"size_gib": 300}))
    assert (
        "volume.size_gib is 300 (322.1 GB), weights, engine and caches need 428.8 GB: ask for 400 GiB or more" in text
    )


def test_a_format_without_a_known_pin_needs_one_from_the_stack() -> None:
    assert "no commit of arcee-ai/Trinity-Large-Thinking-W4A16 is pinned" in refusals(
        gpu_settings(model={"format": "w4a16"})
    )


def test_an_option_that_nodestack_owns_is_refused() -> None:
    assert "serving.options.api-key is not a free option" in refusals(
        parse(config(serving={"options": {"api-key": "x"}}))
    )


def test_a_sequence_longer_than_the_model_knows_is_refused() -> None:
    assert "the model knows 8192 positions" in refusals(parse(config(serving={"max_model_len": 9000})))


@pytest.mark.parametrize(
    ("section", "key"), [("model", "name"), ("model", "format"), ("node", "shape"), ("engine", "version")]
)
def test_a_name_that_the_catalogue_lacks_is_refused_with_key_and_value(section: str, key: str) -> None:
    with pytest.raises(CatalogError, match=rf"{section}\.{key} is 'nope', known are: "):
        make_plan(parse(config(**{section: {key: "nope"}})), load())


def test_the_document_lacks_only_what_a_machine_decides() -> None:
    settings = parse(config())
    document = node_document(settings, local_plan(), load())
    assert NodeDocument.model_fields.keys() - document.keys() == MACHINE_FIELDS
    try:
        NodeDocument.model_validate(document | dict.fromkeys(MACHINE_FIELDS, ""))
    except ValidationError as error:  # pragma: no cover - the assertion is that this does not happen
        pytest.fail(str(error))


def test_parsers_come_from_the_model_not_from_the_guide() -> None:
    options = local_plan().options
    assert (options["reasoning-parser"], options["tool-call-parser"]) == ("deepseek_r1", "qwen3_coder")
