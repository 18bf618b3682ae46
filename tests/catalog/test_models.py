import json
import re
from pathlib import Path

import pytest

from nodestack.catalog import load
from nodestack.clouds.local import tiny_model

MODELS = load().models
CONFIG = json.loads((Path(tiny_model.__file__).parent / "checkpoint/config.json").read_text())


def test_every_row_of_the_family_is_known() -> None:
    formats = {name: set(model.formats) for name, model in MODELS.items() if name.startswith("trinity")}
    assert formats == {
        "trinity-large-thinking": {"bf16", "fp8-block", "w4a16", "nvfp4", "gguf"},
        "trinity-large-preview": {"bf16", "fp8", "fp8-block", "w4a16", "nvfp4"},
        "trinity-large-base": {"bf16"},
        "trinity-large-truebase": {"bf16"},
    }


def test_no_two_formats_share_a_repository() -> None:
    repositories = [form.repository for model in MODELS.values() for form in model.formats.values()]
    assert len(repositories) == len(set(repositories))


def test_every_pin_is_40_hex_digits_and_stands_once() -> None:
    pins = [form.commit for model in MODELS.values() for form in model.formats.values() if form.commit]
    assert len(pins) == len(set(pins))
    assert all(re.fullmatch(r"[0-9a-f]{40}", pin) for pin in pins)


def test_a_base_checkpoint_completes_and_parses_nothing() -> None:
    for name in ("trinity-large-base", "trinity-large-truebase"):
        model = MODELS[name]
        assert (model.smoke_kind, model.reasoning_parser, model.tool_call_parser) == ("completion", None, None)


def test_the_licence_is_told_as_it_was_seen() -> None:
    licence = MODELS["trinity-large-thinking"].licence
    assert licence
    assert licence.name != "Apache-2.0"
    assert "Apache-2.0" in licence.source


@pytest.mark.parametrize("name", ["deepseek-r2", "magistral-small", "nemotron-ultra-253b"])
def test_a_sibling_without_published_numbers_has_none(name: str) -> None:
    architecture = MODELS[name].architecture
    assert (architecture.layers_full, architecture.hidden_size, architecture.kv_heads) == (None, None, None)
    assert MODELS[name].formats == {}


def test_the_tiny_model_is_the_one_that_the_local_hub_serves() -> None:
    form = MODELS["tiny-afmoe-thinking"].formats["bf16"]
    assert form.commit == tiny_model.COMMIT
    assert form.repository == tiny_model.REPOSITORY
    sizes = [path.stat().st_size for path in (tiny_model.repository() / tiny_model.COMMIT).iterdir()]
    assert sum(sizes) == form.size_bytes
    assert max(sizes) == form.largest_file_bytes


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("layers_dense", "num_dense_layers"),
        ("sliding_window", "sliding_window"),
        ("hidden_size", "hidden_size"),
        ("intermediate_size", "intermediate_size"),
        ("expert_intermediate_size", "moe_intermediate_size"),
        ("attention_heads", "num_attention_heads"),
        ("kv_heads", "num_key_value_heads"),
        ("head_dim", "head_dim"),
        ("experts", "num_experts"),
        ("experts_per_token", "num_experts_per_tok"),
        ("shared_experts", "num_shared_experts"),
        ("tied_embeddings", "tie_word_embeddings"),
        ("vocabulary", "vocab_size"),
        ("max_position_embeddings", "max_position_embeddings"),
    ],
)
def test_the_tiny_model_has_the_numbers_of_its_config(ours: str, theirs: str) -> None:
    assert getattr(MODELS["tiny-afmoe-thinking"].architecture, ours) == CONFIG[theirs]


def test_the_tiny_model_has_the_layers_of_its_config() -> None:
    architecture, kinds = MODELS["tiny-afmoe-thinking"].architecture, CONFIG["layer_types"]
    assert architecture.layers_full == kinds.count("full_attention")
    assert architecture.layers_sliding == kinds.count("sliding_attention")


def test_the_tiny_model_has_as_many_parameters_as_its_checkpoint() -> None:
    total = 0
    for path in tiny_model.checkpoint().glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for tensor in (value for key, value in header.items() if key != "__metadata__"):
            begin, end = tensor["data_offsets"]
            total += (end - begin) // (4 if tensor["dtype"] == "F32" else 2)
    assert total == MODELS["tiny-afmoe-thinking"].parameters
