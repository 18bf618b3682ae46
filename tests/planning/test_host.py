import pytest

from nodestack.catalog import load
from nodestack.planning.host import disk_need_bytes, memory_need, memory_refusals
from nodestack.planning.weights import checkpoint_bytes
from tests.planning.placements import CATALOG, MODEL, TRINITY

GB = 10**9
RULES = CATALOG.rules


@pytest.mark.parametrize(
    ("form", "need_gb", "fits_600_gb"), [("fp8-block", 428.8, True), ("bf16", 843.3, False), ("w4a16", 238.0, True)]
)
def test_a_volume_holds_weights_a_second_copy_of_a_file_and_caches(
    form: str, need_gb: float, fits_600_gb: bool
) -> None:
    need = disk_need_bytes(MODEL.formats[form].size_bytes or 0, MODEL.formats[form], "gpu", RULES.disk)
    assert need / GB == pytest.approx(need_gb, abs=0.1)
    assert (need < 600 * GB) == fits_600_gb


def test_reading_bf16_to_write_w4a16_does_not_fit_600_gb() -> None:
    both = sum(checkpoint_bytes("x", TRINITY, MODEL.formats[form]) for form in ("bf16", "w4a16"))
    assert both > 1000 * GB


def test_a_file_of_unknown_size_counts_with_the_hubs_limit_but_never_more_than_all_files() -> None:
    form = MODEL.formats["fp8-block"].model_copy(update={"largest_file_bytes": None})
    assert disk_need_bytes(100 * GB, form, "gpu", RULES.disk) == (100 + 50 + 20) * GB
    assert disk_need_bytes(1 * GB, form, "gpu", RULES.disk) == (1 + 1 + 20) * GB


def test_the_local_stack_needs_the_cpu_engine_and_little_else() -> None:
    form = load().format("tiny-afmoe-thinking", "bf16")
    assert disk_need_bytes(form.size_bytes or 0, form, "cpu", RULES.disk) == pytest.approx(7 * GB, rel=1e-3)


def test_loading_needs_memory_by_rank_and_fetching_fast_needs_its_own() -> None:
    need = memory_need(404 * GB, 8, "gpu", RULES.host_memory, fast_fetch=False)
    assert (need.need_bytes, need.prefetch_bytes) == (72 * GB, 476 * GB)
    assert memory_need(404 * GB, 2, "gpu", RULES.host_memory, fast_fetch=True).need_bytes == 72 * GB
    assert memory_need(404 * GB, 2, "gpu", RULES.host_memory, fast_fetch=False).need_bytes == 24 * GB


def test_on_a_cpu_the_weights_stay_in_memory() -> None:
    need = memory_need(10 * GB, 1, "cpu", RULES.host_memory, fast_fetch=False)
    assert need.need_bytes == need.prefetch_bytes == 15 * GB


def test_a_machine_with_too_little_memory_is_refused_where_its_memory_is_known() -> None:
    need = memory_need(404 * GB, 8, "gpu", RULES.host_memory, fast_fetch=False)
    shape = CATALOG.shape("8x-h100-sxm5")
    small, large = (shape.model_copy(update={"memory_gib": gib}) for gib in (64, 68))
    assert memory_refusals("small", small, need) == [
        "small has 64 GiB of memory a machine, fetching and loading the weights need 67.1 GiB"
    ]
    assert memory_refusals("large", large, need) == []
    assert memory_refusals("unknown", shape.model_copy(update={"memory_gib": None}), need) == []
