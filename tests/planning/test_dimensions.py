from datetime import date

import pytest

from nodestack.catalog import load
from nodestack.catalog.models import Architecture
from nodestack.errors import CatalogError
from nodestack.planning.dimensions import dimensions

CATALOG = load()


def refusal(name: str) -> str:
    with pytest.raises(CatalogError) as error:
        dimensions(name, CATALOG.model(name).architecture)
    return str(error.value)


def test_a_model_of_which_only_the_name_is_known_is_refused_by_each_missing_number() -> None:
    told = refusal("deepseek-r2")
    assert told.startswith("deepseek-r2 cannot be planned, the catalogue does not know ")
    for number in ("layers_full", "hidden_size", "kv_heads", "vocabulary", "max_position_embeddings"):
        assert f"models.deepseek-r2.architecture.{number}" in told


def test_a_dense_model_lacks_no_number_of_experts() -> None:
    told = refusal("nemotron-ultra-253b")
    assert "layers_full" in told
    assert "expert" not in told


def test_a_dense_model_has_dense_layers_only_and_one_without_windows_needs_none() -> None:
    dense = Architecture(
        layers_full=40,
        layers_sliding=0,
        hidden_size=5120,
        intermediate_size=32768,
        attention_heads=32,
        kv_heads=8,
        head_dim=128,
        experts=0,
        vocabulary=131072,
        max_position_embeddings=40960,
        source="made up for this test",
        date=date(2026, 11, 22),
    )
    dims = dimensions("dense", dense)
    assert (dims.layers, dims.layers_dense, dims.layers_of_experts, dims.sliding_window) == (40, 40, 0, 0)


def test_trinity_has_all_its_numbers() -> None:
    dims = dimensions("trinity-large-base", CATALOG.model("trinity-large-base").architecture)
    assert (dims.layers, dims.layers_of_experts, dims.router_bytes_per_parameter) == (60, 54, 4)
