"""The gate, run as a process on recorded hardware: what is well passes, each fault fails by its own words."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nodestack.clouds.local import hardware
from tests.playbooks.fabric.conftest import H100, H200, Machine, hide

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("profile", hardware.profiles())
def test_the_verdict_on_each_recorded_machine_is_the_recorded_one(machine: Machine, profile: str) -> None:
    machine.smi.record(profile)
    judged = machine.judged(H200 if profile.startswith("h200") else H100)
    seen = {"exit_code": judged.exit_code, "lines": judged.lines, "verdict": judged.verdict}
    assert seen == json.loads((GOLDEN / f"{profile}.json").read_text())


def test_only_the_good_machines_pass_and_no_two_broken_ones_say_the_same() -> None:
    verdicts = {path.stem: json.loads(path.read_text()) for path in GOLDEN.glob("*.json")}
    assert {name for name, seen in verdicts.items() if seen["exit_code"] == 0} == {"h100-sxm5-x8", "h200-sxm5-x4"}
    assert all(seen["verdict"]["pass"] is (seen["exit_code"] == 0) for seen in verdicts.values())
    said = ["\n".join(seen["lines"]) for seen in verdicts.values() if seen["exit_code"] != 0]
    assert len(set(said)) == len(said) == 5


def test_a_node_of_another_shape_is_refused(machine: Machine) -> None:
    assert machine.judged(H200).faults() == [
        "GPU count",
        *[f"GPU model {', '.join(f'GPU{gpu}' for gpu in range(8))}"],
        *[f"GPU memory {', '.join(f'GPU{gpu}' for gpu in range(8))}"],
    ]


def test_the_fabric_is_waited_for_and_the_wait_is_told(machine: Machine) -> None:
    (machine.smi.root / "run/nvidia-fabricmanager/ready").unlink()
    with machine.start({**H100, "wait_s": 30}) as gate:
        deadline = time.monotonic() + 20
        while not machine.progress.exists():
            assert time.monotonic() < deadline, "no word of the wait"
            time.sleep(0.05)
        told = json.loads(machine.progress.read_text())
        machine.smi.manage()
        assert gate.wait(timeout=30) == 0
    assert told["role"] == "fabric"
    assert told["text"].startswith("waiting for the fabric: Not Started, ")
    assert not machine.progress.exists()


def test_completed_without_success_is_refused_at_once(machine: Machine) -> None:
    place = machine.smi.root / "etc/nvidia-replay/query.json"
    recorded = json.loads(place.read_text())
    recorded["fabric"]["status"] = "Insufficient Resources"
    place.write_text(json.dumps(recorded))
    started = time.monotonic()
    judged = machine.judged({**H100, "wait_s": 300})
    assert time.monotonic() - started < 30
    assert judged.lines[0].startswith(
        "fabric of all GPUs: expected Completed with Success, saw Completed with Insufficient Resources: "
    )


def test_a_driver_that_mismatches_is_refused_with_its_own_words(machine: Machine) -> None:
    machine.smi.load("550.54.15")
    judged = machine.judged(H100)
    assert judged.exit_code == 1
    assert "Driver/library version mismatch" in judged.lines[0]


def test_a_machine_without_nvidia_smi_is_refused(machine: Machine) -> None:
    hide(machine, "nvidia-smi")
    judged = machine.judged(H100)
    assert judged.exit_code == 1
    assert judged.faults() == ["GPU list"]


@pytest.mark.parametrize("xid", [48, 63, 64, 74, 79, 94, 119, 999])
def test_an_xid_error_that_speaks_against_the_hardware_is_refused(machine: Machine, xid: int) -> None:
    machine.kernel_log(f"NVRM: Xid (PCI:0000:c3:00): {xid}, pid='<unknown>', name=<unknown>, something\n" * 2)
    judged = machine.judged(H100)
    assert judged.lines == [
        f"Xid errors on 0000:c3:00: expected none, saw Xid {xid}: ask the provider to reset or replace this GPU"
    ]


@pytest.mark.parametrize("log", ["", "NVRM: Xid (PCI:0000:c3:00): 31, pid=1234, name=python3, MMU Fault\n"])
def test_a_fault_of_a_program_is_not_held_against_the_node(machine: Machine, log: str) -> None:
    machine.kernel_log(log)
    assert machine.judged(H100).exit_code == 0


def test_a_kernel_log_with_nothing_in_it_may_end_with_1_but_not_complain(machine: Machine) -> None:
    machine.kernel_log("", exit_code=1)
    assert machine.judged(H100).exit_code == 0
    machine.kernel_log("", exit_code=1, complaint="No journal files were opened due to insufficient permissions.")
    assert machine.judged(H100).faults() == ["Xid errors"]


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in H100.items() if name != key}


@pytest.mark.parametrize(
    "expected",
    [
        {},
        [],
        None,
        *[without(key) for key in H100],
        {**H100, "tolerance": 1},
        {**H100, "gpu_count": 0},
        {**H100, "gpu_count": "8"},
        {**H100, "nvswitch": 1},
        {**H100, "nvlinks_per_gpu": True},
    ],
)
def test_expectations_that_are_not_whole_pass_nothing(machine: Machine, expected: object) -> None:
    judged = machine.judged(expected)
    assert (judged.exit_code, judged.faults()) == (1, ["expectations"])


def test_a_gate_that_is_killed_leaves_no_older_verdict_standing(machine: Machine) -> None:
    assert machine.judged(H100).verdict["pass"] is True
    (machine.smi.root / "run/nvidia-fabricmanager/ready").unlink()
    with machine.start({**H100, "wait_s": 60}) as gate:
        deadline = time.monotonic() + 20
        while not machine.progress.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        gate.kill()
    assert not machine.verdict.exists()


def test_the_verdict_may_be_read_by_everyone(machine: Machine) -> None:
    machine.judged(H100)
    assert machine.verdict.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in machine.verdict.parent.iterdir()] == ["fabric.json"]
