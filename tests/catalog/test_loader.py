import contextlib
import doctest
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodestack.catalog import catalog as catalog_module
from nodestack.catalog import load, loader, names
from nodestack.errors import CatalogError

OWN = """
models:
  our-finetune:
    like: trinity-large-thinking
    served_model_name: ours
    formats:
      fp8-block:
        repository: ours/finetune
        commit: 0123456789abcdef0123456789abcdef01234567
        size_bytes: 403800000000
        source: our own upload
        date: 2026-11-22
gpus:
  a100:
    name: NVIDIA A100-SXM4-80GB
    visible_mib: 81920
    nominal_gb: 80
    compute_capability: 8.0
    nvlinks: 12
    nvlink_gb_per_s: 25
    source: nvidia-smi of ours
    date: 2026-11-22
shapes:
  8x-a100: {gpu: a100, gpu_count: 8, nvswitch: true, runs_on: gpu}
prices:
  8x-a100:
    on_demand: {usd_per_hour: 9.5, source: our invoice, date: 2026-11-22}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return path


def refusal(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(CatalogError) as error:
        load(path)
    return str(error.value).replace(str(path), "own.yaml")


def test_an_unknown_name_is_refused_with_the_known_ones_and_the_closest() -> None:
    with pytest.raises(CatalogError, match=r"node.shape is '9x-h100-sxm5', known are: 1.*; did you mean 8x-h100"):
        load().shape("9x-h100-sxm5")


def test_all_unknown_names_are_told_together() -> None:
    told = load().unknown(model="trinity-large-thinkin", format="fp9", shape="h100", engine="0.1")
    assert [problem.split(" is ")[0] for problem in told] == ["model.name", "node.shape", "engine.version"]
    assert told[0].endswith("did you mean trinity-large-thinking?")
    assert (
        load().unknown(model="trinity-large-thinking", format="fp8-block", shape="4x-h200-sxm5", engine="0.23.0") == []
    )
    assert load().unknown(model="deepseek-r2", format="bf16") == [
        "model.format is 'bf16', but none is known: add one in a file of your own"
    ]


def test_what_a_user_adds_stands_beside_ours(own: Path) -> None:
    catalog = load(own)
    assert catalog.gpu("8x-a100").visible_mib == 81920
    assert catalog.price("8x-a100").on_demand
    assert catalog.model("trinity-large-thinking") == load().model("trinity-large-thinking")
    assert catalog.overridden == ()


def test_a_model_like_another_differs_in_what_it_says_and_shares_no_format(own: Path) -> None:
    ours, theirs = load().model("trinity-large-thinking"), load(own).model("our-finetune")
    assert theirs.architecture == ours.architecture
    assert theirs.served_model_name == "ours"
    assert list(theirs.formats) == ["fp8-block"]


def test_an_entry_of_ours_that_a_user_replaces_is_remembered(own: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(OWN.replace("8x-a100:", "8x-h100-sxm5:"))
    catalog = load(own, again)
    assert catalog.shape("8x-h100-sxm5").gpu == "a100"
    assert catalog.overridden == (f"shapes.8x-h100-sxm5 by {again}", f"prices.8x-h100-sxm5 by {again}")
    assert load().shape("8x-h100-sxm5").gpu == "h100-80gb-sxm5"


def test_every_problem_of_a_file_is_told_by_file_key_value_and_what_is_allowed(own: Path) -> None:
    text = OWN.replace("visible_mib: 81920", "visible_mib: -1").replace("gpu_count: 8", "gpus: 8")
    told = refusal(own, text.replace("usd_per_hour: 9.5", "usd_per_hour: -9.5"))
    assert "own.yaml: gpus.a100.visible_mib is -1: input should be greater than 0" in told
    assert "own.yaml: shapes.8x-a100.gpu_count is missing" in told
    assert re.search(r"own.yaml: shapes.8x-a100.gpus is no key, known are: .*; did you mean gpu\?", told)
    assert "own.yaml: prices.8x-a100.on_demand.usd_per_hour is -9.5: input should be greater than 0" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: {}", "own.yaml: model is no key, known are: apis, gpus, models, prices, shapes; did you mean models?"),
        ("models: [a]", "own.yaml: models is ['a'], it must be a mapping of entries by name"),
        ("- a", "own.yaml: holds no mapping, allowed are the keys models, gpus, shapes, prices, apis"),
        ("a: [", "own.yaml: is no YAML: "),
        ("models: {x: {like: trinity-large-thinking}}", "own.yaml: models.x.formats is missing"),
        ("models: {x: here}", "own.yaml: models.x is 'here': input should be a valid dictionary"),
        ("models: {x: {like: [y]}}", "own.yaml: models.x.like is ['y'], known are: deepseek-r2, "),
        (
            "prices: {x: {free_because: ours}}",
            "own.yaml: prices.x is the price of no shape, known are: 16x-h100-sxm5, ",
        ),
        ("models: {x: {like: y}}", "own.yaml: models.x.like is 'y', known are: deepseek-r2, "),
        ("models: {x: {like: x, formats: {}}}", "own.yaml: models.x.like is 'x', known are: deepseek-r2, "),
        (
            "shapes: {x: {gpu: h10, gpu_count: 1, nvswitch: false, runs_on: gpu}}",
            "own.yaml: shapes.x.gpu is 'h10', known",
        ),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(own: Path, text: str, told: str) -> None:
    assert told in refusal(own, text)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(["models", "shapes", "like", "formats", "architecture", "8x-h100-sxm5", "gpu", "usd"]) | SCALARS
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8)
SECTIONS = st.dictionaries(
    st.sampled_from(["models", "gpus", "shapes", "prices", "apis"]), st.dictionaries(st.text(max_size=5), ANYTHING)
)


@given(content=SECTIONS | ANYTHING)
def test_no_file_whatever_crashes_the_loader(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.yaml"
    path.write_text(yaml.safe_dump(content))
    with contextlib.suppress(CatalogError):
        assert load(path).models


def test_a_file_that_cannot_be_read_is_refused_beside_the_others(own: Path, tmp_path: Path) -> None:
    own.write_text("model: {}")
    with pytest.raises(CatalogError) as error:
        load(tmp_path / "none.yaml", own)
    assert "none.yaml: cannot be read: " in str(error.value)
    assert "own.yaml: model is no key" in str(error.value)


def test_a_malformed_file_of_ours_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = loader._raw()
    del raw["driver"]["date"]
    monkeypatch.setattr(loader, "_raw", lambda: raw)
    with pytest.raises(CatalogError, match=r"nodestack's own catalogue: driver.date is missing"):
        loader._ours.__wrapped__()


def test_the_examples_hold() -> None:
    assert doctest.testmod(names) == (0, 1)
    assert doctest.testmod(catalog_module) == (0, 2)
