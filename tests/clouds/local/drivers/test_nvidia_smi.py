"""The packaged nvidia-smi answers, and refuses, as the real one does."""

from pathlib import Path

import pytest

from tests.clouds.local.drivers.smi import Smi, install


@pytest.fixture
def smi(repository: Path, tmp_path: Path) -> Smi:
    return install(repository, tmp_path, "h100-sxm5-x8")


def test_the_table_names_driver_and_cuda(smi: Smi) -> None:
    lines = smi().stdout.splitlines()
    assert lines[2] == ("| NVIDIA-SMI 580.95.05              Driver Version: 580.95.05      CUDA Version: 13.0     |")
    assert {len(line) for line in lines[1:] if line} == {91}


def test_fields_come_with_or_without_header_and_units(smi: Smi) -> None:
    header, first, *_ = smi("--query-gpu=index,memory.total,fabric.state", "--format=csv").stdout.splitlines()
    assert (header, first) == ("index, memory.total, fabric.state", "0, 81559 MiB, Completed")
    bare = smi("--query-gpu=index,memory.total", "--format=csv,noheader,nounits").stdout.splitlines()
    assert bare == [f"{index}, 81559" for index in range(8)]


def test_another_version_in_the_kernel_is_a_mismatch_until_it_is_loaded(smi: Smi) -> None:
    smi.load("550.54.15")
    answer = smi("--query-gpu=driver_version", "--format=csv,noheader")
    assert answer.returncode == 18
    assert answer.stdout == (
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n"
    )
    smi.load("580.95.05")
    assert smi("--query-gpu=driver_version", "--format=csv,noheader").stdout.split() == ["580.95.05"] * 8


def test_without_a_loaded_module_it_cannot_communicate(smi: Smi) -> None:
    (smi.root / "run/nvidia-replay/loaded-version").unlink()
    answer = smi()
    assert answer.returncode == 9
    assert "couldn't communicate with the NVIDIA driver" in answer.stdout


def test_the_fabric_has_not_started_before_its_manager(smi: Smi) -> None:
    (smi.root / "run/nvidia-fabricmanager/ready").unlink()
    answer = smi("--query-gpu=fabric.state,fabric.status", "--format=csv,noheader")
    assert set(answer.stdout.splitlines()) == {"Not Started, N/A"}


@pytest.mark.parametrize(
    "arguments",
    [("--query-gpu=colour", "--format=csv"), ("--query-gpu=index",), ("topo",), ("--reset",), ("-L", "-q")],
)
def test_what_it_does_not_know_it_refuses(smi: Smi, arguments: tuple[str, ...]) -> None:
    assert smi(*arguments).returncode != 0


def test_every_recorded_output_is_printed_without_a_gap_to_fill(smi: Smi) -> None:
    for arguments in ((), ("-L",), ("-q",), ("topo", "-m"), ("nvlink", "-s")):
        answer = smi(*arguments)
        assert answer.returncode == 0
        assert answer.stdout
        assert "@" not in answer.stdout
