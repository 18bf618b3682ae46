import re
from pathlib import Path

import pytest

from nodestack.catalog import Driver, load, loader
from nodestack.clouds.local import tiny_model
from nodestack.errors import CatalogError


def test_every_shape_has_a_gpu_and_a_price() -> None:
    catalog = load()
    for shape in catalog.nodes.shapes:
        assert catalog.gpu(shape).visible_mib > 0
        price = catalog.price(shape)
        assert price.on_demand or price.free_because


def test_every_pin_is_40_hex_digits() -> None:
    pins = [form.commit for model in load().models.values() for form in model.formats.values() if form.commit]
    assert pins
    assert all(re.fullmatch(r"[0-9a-f]{40}", pin) for pin in pins)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CatalogError, match=r"node.shape is '9x-h100', known are: 4x-h200-sxm5, 8x-h100-sxm5, local"):
        load().shape("9x-h100")


def test_a_malformed_file_is_refused_by_file_and_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drivers.yaml").write_text("version: 580.95.05\nbranch: R580\nsource: none\n")
    monkeypatch.setattr(loader, "HERE", tmp_path)
    with pytest.raises(CatalogError, match=r"drivers.yaml: date: Field required"):
        loader._read("drivers.yaml", Driver)


def test_the_tiny_model_is_the_one_that_the_local_hub_serves() -> None:
    model = load().model("tiny-afmoe-thinking")
    form = model.formats["bf16"]
    assert form.commit == tiny_model.COMMIT
    assert form.repository == tiny_model.REPOSITORY
    sizes = [path.stat().st_size for path in (tiny_model.repository() / tiny_model.COMMIT).iterdir()]
    assert sum(sizes) == form.size_bytes
    assert max(sizes) == form.largest_file_bytes
