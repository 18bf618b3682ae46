import dataclasses

import pytest

from nodestack.planning.fit import Placement, refusals, warnings
from nodestack.planning.parallel import Parallel
from tests.planning.placements import CATALOG, placement

RULE = CATALOG.rules.concurrency


def gpu_count_by(text: str) -> int:
    return int(text.split("it takes ")[1].split(maxsplit=1)[0])


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ("8x-h100-sxm5", "fp8-block"),
        ("4x-h200-sxm5", "fp8-block"),
        ("8x-h200-sxm5", "bf16"),
        ("8x-b200-sxm6", "nvfp4"),
        ("16x-h100-sxm5", "fp8-block"),
    ],
)
def test_what_the_makers_or_users_run_is_not_refused(shape: str, form: str) -> None:
    assert refusals(placement(shape, form)) == []


@pytest.mark.parametrize(
    ("shape", "budget"),
    [
        ("8x-h100-sxm5", "77.0 GB usable of 85.5 GB a GPU, less 99.8 GB weights and 5.9 GB overhead"),
        ("4x-h200-sxm5", "135.7 GB usable of 150.8 GB a GPU, less 199.5 GB weights and 5.9 GB overhead"),
    ],
)
def test_bf16_is_refused_on_both_flagship_nodes_with_the_arithmetic(shape: str, budget: str) -> None:
    (told,) = refusals(placement(shape, "bf16", "development"))
    assert told.startswith("the weights do not fit: ")
    assert budget in told


def test_a_single_gpu_of_48_gb_is_refused_at_every_precision_served_here() -> None:
    for form in ("bf16", "fp8-block", "w4a16", "nvfp4"):
        told = " ".join(refusals(placement("1x-l40s-pcie", form, "development")))
        assert "43.5 GB usable of 48.3 GB a GPU" in told
        assert gpu_count_by(told) >= 6
    assert gpu_count_by(refusals(placement("1x-l40s-pcie", "w4a16", "development"))[0]) == 6


@pytest.mark.parametrize("form", ["fp8-block", "w4a16"])
def test_one_h100_is_refused_too(form: str) -> None:
    assert refusals(placement("1x-h100-sxm5", form, "development"))


def test_nvfp4_on_hopper_is_warned_of_in_development_and_refused_in_production() -> None:
    told = (
        "nvfp4 is computed from compute capability 10.0 on, NVIDIA H100 80GB HBM3 has 9.0: "
        "the engine unpacks the 4-bit weights with Marlin kernels and computes in bfloat16, "
        "which keeps the memory but not the speed"
    )
    assert refusals(placement("8x-h100-sxm5", "nvfp4")) == [f"{told}: not for production"]
    assert refusals(placement("8x-h100-sxm5", "nvfp4", "development")) == []
    assert warnings(placement("8x-h100-sxm5", "nvfp4", "development"), RULE) == [f"{told}: for development only"]
    assert warnings(placement("8x-b200-sxm6", "nvfp4"), RULE) == []


def test_pcie_is_warned_of_in_development_and_refused_in_production() -> None:
    told = "the 8 GPUs of 8x-h100-pcie exchange each token's layers over PCIe at 64 GB/s one way, NVLink has hundreds"
    assert refusals(placement("8x-h100-pcie", "fp8-block")) == [f"{told}: not for production"]
    assert refusals(placement("8x-h100-pcie", "fp8-block", "development")) == []
    assert warnings(placement("8x-h100-pcie", "fp8-block", "development"), RULE) == [f"{told}: for development only"]


def test_a_single_gpu_over_pcie_has_nobody_to_talk_to() -> None:
    assert not [text for text in refusals(placement("1x-l40s-pcie", "w4a16")) if "PCIe" in text]


def test_a_gpu_that_cannot_compute_a_format_and_has_no_other_way_is_refused() -> None:
    old = placement("4x-h100-sxm5", "w4a16")
    old = dataclasses.replace(old, gpu=old.gpu.model_copy(update={"compute_capability": 7.0}))
    (told,) = refusals(old)
    assert told == (
        "w4a16 is computed from compute capability 7.5 on, NVIDIA H100 80GB HBM3 has 7.0, "
        "and the engine has no other way to compute it"
    )


def test_two_h200_fit_w4a16_but_are_tight_and_the_warning_counts_sequences() -> None:
    told = warnings(placement("2x-h200-sxm5", "w4a16"), RULE, concurrency=21.6, max_model_len=32768)
    assert refusals(placement("2x-h200-sxm5", "w4a16")) == []
    assert told[0].startswith("2x-h200-sxm5 is tight: 135.7 GB usable of 150.8 GB a GPU, less 106.")
    assert told[0].endswith("21.6 sequences of 32768 tokens; production wants 32")
    assert told[1].startswith("w4a16: 4-bit weights can cost 5 to 10 %")


def test_enough_sequences_are_not_tight() -> None:
    assert not warnings(placement("8x-h100-sxm5", "fp8-block"), RULE, concurrency=77.0, max_model_len=32768)


def test_a_pipelines_heaviest_stage_decides_and_the_warning_says_what_is_lost() -> None:
    told = warnings(placement("3x-h200-sxm5", "w4a16"), RULE)
    weights = "(56.7, 77.6, 78.8 GB a GPU)"
    assert told[0].startswith(f"pipeline stages hold unequal weights {weights}: stage 2 decides with 51.")
    assert told[0].endswith("GB on the others stay unused")


def test_gpus_that_nobody_uses_are_told() -> None:
    told = warnings(placement("8x-h100-sxm5", "w4a16", parallel=Parallel(4)), RULE)
    assert told[0] == "4 of 8 GPUs of 8x-h100-sxm5 are paid for and not used"


def test_a_format_that_is_not_served_is_refused_whatever_the_node() -> None:
    fitting = placement("8x-h100-sxm5", "fp8-block")
    gguf: Placement = dataclasses.replace(
        fitting, format_name="gguf", form=fitting.form.model_copy(update={"refused_because": "it is made for another"})
    )
    assert refusals(gguf) == ["gguf is not served here: it is made for another"]


def test_on_a_cpu_only_the_format_is_looked_at() -> None:
    local = dataclasses.replace(placement("8x-h100-pcie", "bf16"), shape=CATALOG.shape("local"))
    assert refusals(local) == []
    assert warnings(local, RULE, concurrency=1.0, max_model_len=1024) == []
