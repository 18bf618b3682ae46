from typing import Any

import pytest

from nodestack.planning.naive import GB, NaiveEstimate, estimate
from tests.planning.placements import CATALOG, MODEL, TABLES, TRINITY

GUIDE = TABLES["guide"]


def of(shape: str, form: str) -> NaiveEstimate:
    nominal, each = MODEL.nominal_parameters, MODEL.formats[form].nominal_bytes_per_parameter
    assert nominal and each
    factor = CATALOG.rules.naive.overhead_factor
    return estimate(nominal, each, CATALOG.gpu(shape).nominal_gb, CATALOG.shape(shape).gpus, factor)


@pytest.mark.parametrize("row", GUIDE["precision"], ids=lambda row: row["format"])
def test_the_guides_memory_by_precision_is_reproduced_exactly(row: dict[str, Any]) -> None:
    found = of("8x-h100-sxm5", row["format"])
    assert MODEL.nominal_parameters == GUIDE["nominal_parameters"]
    assert MODEL.formats[row["format"]].nominal_bytes_per_parameter == row["bytes_per_parameter"]
    assert (found.weights_bytes, found.runtime_bytes) == (row["weights_gb"] * GB, row["runtime_gb"] * GB)


@pytest.mark.parametrize("row", GUIDE["configurations"], ids=lambda row: row["shape"])
def test_the_guides_gpu_configurations_are_reproduced_exactly(row: dict[str, Any]) -> None:
    found = of(row["shape"], row["format"])
    assert (found.total_memory_bytes, found.headroom_bytes) == (row["total_gb"] * GB, row["headroom_gb"] * GB)


def test_counting_every_layer_as_full_attention_holds_far_too_few_sequences() -> None:
    """The measured start held 12.50 sequences of 262144 tokens; 180 GB of headroom would hold as few as 5.6 by this."""
    assert of("8x-h100-sxm5", "fp8-block").concurrency(TRINITY, 1, 262144) == pytest.approx(5.59, abs=0.01)
    assert of("4x-h200-sxm5", "fp8-block").concurrency(TRINITY, 1, 262144) == pytest.approx(3.23, abs=0.01)


def test_what_does_not_fit_holds_nothing() -> None:
    found = of("8x-h100-sxm5", "bf16")
    assert found.headroom_bytes == -280 * GB
    assert found.concurrency(TRINITY, 2, 1024) == 0
