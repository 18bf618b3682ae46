import pytest

from nodestack.catalog import load

CATALOG = load()


@pytest.mark.parametrize(
    ("shape", "gpus"),
    [
        ("8x-h100-sxm5", 8),
        ("4x-h200-sxm5", 4),
        ("4x-h100-sxm5", 4),
        ("3x-h200-sxm5", 3),
        ("2x-h200-sxm5", 2),
        ("8x-h200-sxm5", 8),
        ("16x-h100-sxm5", 16),
        ("8x-b200-sxm6", 8),
        ("8x-h100-pcie", 8),
        ("1x-l40s-pcie", 1),
        ("1x-h100-sxm5", 1),
        ("local", 8),
        ("local-4x-h200", 4),
    ],
)
def test_a_shape_has_as_many_gpus_as_its_name_says(shape: str, gpus: int) -> None:
    assert CATALOG.shape(shape).gpus == gpus


def test_sixteen_gpus_are_two_machines_of_eight() -> None:
    shape = CATALOG.shape("16x-h100-sxm5")
    assert (shape.machines, shape.gpu_count) == (2, 8)


@pytest.mark.parametrize("shape", CATALOG.nodes.shapes)
def test_a_gpu_shows_less_memory_than_a_tenth_above_what_is_sold(shape: str) -> None:
    gpu = CATALOG.gpu(shape)
    assert 0.9 < gpu.visible_mib * 2**20 / (gpu.nominal_gb * 2**30) < 1.0


@pytest.mark.parametrize("shape", CATALOG.nodes.shapes)
def test_only_gpus_with_nvlinks_meet_over_switches(shape: str) -> None:
    gpu = CATALOG.gpu(shape)
    assert (gpu.nvlinks > 0) == (gpu.nvlink_gb_per_s > 0) == (gpu.interconnect == "nvlink")
    assert gpu.interconnect == "nvlink" or not CATALOG.shape(shape).nvswitch


def test_what_nobody_pays_for_says_why() -> None:
    for name, price in CATALOG.prices.nodes.items():
        assert name in CATALOG.nodes.shapes
        assert price.on_demand or price.spot or price.free_because
