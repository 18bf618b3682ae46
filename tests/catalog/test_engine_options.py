from pathlib import Path

import pytest
import yaml

from nodestack.catalog import engine_options
from nodestack.catalog.corrections import Correction, corrections
from nodestack.catalog.engine_options import TABLES, OptionTable, option_table
from nodestack.errors import CatalogError
from nodestack.planning.parallel import Parallel
from tests.option_sets import CATALOG, VERSIONS, label, planned


@pytest.mark.parametrize("version", VERSIONS)
def test_every_engine_has_its_table(version: str) -> None:
    assert option_table(version).version == version


def test_no_table_is_without_its_engine() -> None:
    assert sorted(path.stem for path in TABLES.glob("*.yaml")) == VERSIONS


def test_only_the_version_that_is_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(OptionTable, "model_validate", lambda data: read.append(data["version"]))
    option_table.__wrapped__("0.32.0")
    assert read == ["0.32.0"]


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CatalogError, match=r"no table of options for vLLM 9\.9, known are: 0\.23\.0, 0\.32\.0"):
        option_table("9.9")


def test_a_malformed_table_is_refused_by_file_and_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = yaml.safe_load((TABLES / "0.23.0.yaml").read_text())
    data["options"]["seed"]["type"] = "seed"
    (tmp_path / "1.0.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setattr(engine_options, "TABLES", tmp_path)
    with pytest.raises(CatalogError, match=r"1\.0\.yaml of options: options\.seed\.type"):
        option_table("1.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_tells_what_is_known_of_its_parser(version: str) -> None:
    table = option_table(version)
    assert table.options["dtype"].choices == ("auto", "bfloat16", "float", "float16", "float32", "half")
    assert table.options["max-num-seqs"].default is None
    assert table.options["gpu-memory-utilization"].default == CATALOG.engine(version).gpu_memory_utilization
    assert table.options["kv-cache-dtype"].choices == tuple(sorted(table.kv_cache_dtypes))
    assert table.options["async-scheduling"].type == "boolean"
    keys = table.options["structured-outputs-config"].keys or {}
    assert keys["backend"].choices == tuple(sorted(table.structured_outputs_backends))
    assert "compressed-tensors" in table.quantization_methods
    assert {"qwen3_coder", "hermes"} <= set(table.tool_call_parsers)


def test_tables_differ_where_versions_do() -> None:
    old, new = option_table("0.23.0"), option_table("0.32.0")
    assert "max-num-scheduled-tokens" not in old.options
    assert "max-num-scheduled-tokens" in new.options
    assert "device-memory-utilization" in new.options["gpu-memory-utilization"].aliases
    assert "gguf" in old.load_formats
    assert "gguf" not in new.load_formats


@pytest.mark.parametrize("version", VERSIONS)
def test_every_model_of_the_catalogue_has_parsers_that_the_engine_has(version: str) -> None:
    table = option_table(version)
    for model in CATALOG.models.values():
        assert model.tool_call_parser in (None, *table.tool_call_parsers)
        assert model.reasoning_parser in (None, *table.reasoning_parsers)


@pytest.mark.parametrize(
    ("version", "memory_gib", "name", "expected"),
    [
        ("0.23.0", 79.6, "NVIDIA H100 80GB HBM3", (1024, 8192, 16384)),
        ("0.23.0", 140.4, "NVIDIA H200", (1024, 8192, 16384)),
        ("0.23.0", 79.3, "NVIDIA A100-SXM4-80GB", (256, 2048, 8192)),
        ("0.23.0", 44.5, "NVIDIA L40S", (256, 2048, 8192)),
        ("0.23.0", 179.1, "NVIDIA B200", (1024, 8192, 16384)),
        ("0.32.0", 140.4, "NVIDIA H200", (1024, 8192, 16384)),
        ("0.32.0", 179.1, "NVIDIA B200", (1024, 16384, 16384)),
    ],
)
def test_defaults_follow_the_gpu(version: str, memory_gib: float, name: str, expected: tuple[int, int, int]) -> None:
    found = CATALOG.engine(version).batch_default(memory_gib, name)
    assert (found.max_num_seqs, found.max_num_batched_tokens, found.max_num_batched_tokens_offline) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_the_driver_of_nodes_is_new_enough(version: str) -> None:
    assert int(CATALOG.driver.version.split(".")[0]) >= int(CATALOG.engine(version).minimum_driver)


def of(subject: str) -> list[Correction]:
    return [correction for correction in corrections() if correction.subject == subject]


@pytest.mark.parametrize("correction", of("metric"), ids=label)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_metric_that_is_gone_is_not_relied_on_and_its_successor_is(correction: Correction, version: str) -> None:
    metrics = CATALOG.engine(version).metrics
    assert correction.name not in metrics
    assert correction.instead.split(",")[0] in metrics


@pytest.mark.parametrize("correction", of("field"), ids=label)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_field_that_is_gone_has_a_successor(correction: Correction, version: str) -> None:
    field = CATALOG.engine(version).reasoning_field
    assert field != correction.name
    assert correction.instead.split(",")[0] == field


@pytest.mark.parametrize("correction", of("default"), ids=label)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_default_is_not_what_guides_say_and_is_never_relied_on(correction: Correction, version: str) -> None:
    real = CATALOG.engine(version).batch_default(79.6, "NVIDIA H100 80GB HBM3")
    assert getattr(real, correction.name.replace("-", "_")) != correction.value
    assert correction.name in planned(Parallel(8))


def test_every_correction_says_when_it_was_seen_and_for_versions_that_are_known() -> None:
    for correction in corrections():
        assert correction.source
        assert set(correction.versions) <= set(VERSIONS)
        assert not (correction.renamed_to and correction.dropped)
