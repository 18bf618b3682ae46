"""Hardware profiles: what broken ones change, and that nvidia-smi's layout is kept."""

import json
import re

import pytest
from pydantic import ValidationError

from nodestack.clouds.local import hardware
from nodestack.clouds.local.hardware.profile import Profile, load
from nodestack.errors import CloudError

GOOD = "h100-sxm5-x8"
BROKEN = {
    "h100-pix-gpu2-gpu3": {"topology.txt"},
    "h100-fabric-in-progress": {"query.json"},
    "h100-inactive-links": {"nvlink.txt"},
    "h100-missing-gpu": {
        *("summary.txt", "list.txt", "topology.txt", "nvlink.txt", "nvlink-errors.txt", "details.txt", "query.json"),
        "lspci",
    },
    "h100-ecc-errors": {"summary.txt", "details.txt", "query.json"},
}


def text(profile: str, name: str) -> str:
    return hardware.files(profile)[f"{hardware.REPLAY_DIRECTORY}/{name}"].decode()


def test_all_profiles_are_there_good_and_broken() -> None:
    assert set(hardware.profiles()) == {GOOD, "h200-sxm5-x4", *BROKEN}


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CloudError, match=r"'h100' does not exist: choose one of h100-ecc-errors, .*h200-sxm5-x4"):
        hardware.files("h100")


@pytest.mark.parametrize(("profile", "changed"), BROKEN.items())
def test_a_broken_profile_differs_from_the_good_one_only_where_it_is_broken(profile: str, changed: set[str]) -> None:
    good, broken = hardware.files(GOOD), hardware.files(profile)
    assert {path.rsplit("/", 1)[1] for path in good if good[path] != broken[path]} == changed


def test_a_changed_gpu_must_be_on_the_board() -> None:
    with pytest.raises(ValidationError, match="GPU9 is changed, but the board has 8 GPUs"):
        Profile.model_validate({**load(GOOD).model_dump(), "pairs": {"GPU2-GPU9": "PIX"}})


def test_the_pair_that_is_broken_is_broken_both_ways_and_no_other() -> None:
    rows = {
        line.split("\t")[0]: line.split("\t")[1:9] for line in text("h100-pix-gpu2-gpu3", "topology.txt").split("\n")
    }
    assert rows["GPU2"][3] == rows["GPU3"][2] == "PIX"
    assert sum(cell == "NV18" for gpu in range(8) for cell in rows[f"GPU{gpu}"]) == 8 * 7 - 2


def test_the_topology_has_what_real_output_has() -> None:
    header, first, *_ = text(GOOD, "topology.txt").splitlines()
    assert header.startswith("\x1b[4m\tGPU0\t")
    assert header.endswith("\tNIC7\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m")
    assert first.split("\t")[:3] == ["GPU0", " X ", "NV18"]
    assert "NIC Legend:" in text(GOOD, "topology.txt")


@pytest.mark.parametrize("profile", hardware.profiles())
def test_every_line_of_the_table_is_as_wide_as_its_frame(profile: str) -> None:
    widths = {"DRIVER": "580.95.05", "CUDA": "13.0"}
    filled = re.sub(r"@(DRIVER|CUDA)@( *)", lambda m: widths[m[1]].ljust(len(m[0])), text(profile, "summary.txt"))
    assert {len(line) for line in filled.splitlines()[1:] if line} == {91}


def test_the_figures_are_those_of_the_hardware() -> None:
    h100 = json.loads(text(GOOD, "query.json"))["gpu"]
    h200 = json.loads(text("h200-sxm5-x4", "query.json"))["gpu"]
    assert (len(h100), h100[0]["name"], h100[0]["memory.total"]) == (8, "NVIDIA H100 80GB HBM3", "81559 MiB")
    assert (len(h200), h200[0]["name"], h200[0]["memory.total"]) == (4, "NVIDIA H200", "143771 MiB")
    assert text(GOOD, "nvlink.txt").count("26.562 GB/s") == 8 * 18


def test_a_missing_gpu_leaves_no_gap_in_the_numbers() -> None:
    gpus = json.loads(text("h100-missing-gpu", "query.json"))["gpu"]
    assert [gpu["index"] for gpu in gpus] == [str(number) for number in range(7)]
    assert len({gpu["uuid"] for gpu in gpus}) == 7
