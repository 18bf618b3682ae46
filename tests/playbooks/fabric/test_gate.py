"""The gate, run as a process on recorded hardware: what is well passes, each fault fails by its own words."""

import json
import time
from pathlib import Path

import pytest
import yaml

from nodestack.clouds.local import hardware
from nodestack.provisioning.report import FabricResult
from tests.playbooks.fabric.conftest import H100, H200, Machine, hide

GOLDEN, CASES = (Path(__file__).parent / name for name in ("golden", "cases"))


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


def test_a_kernel_log_with_nothing_in_it_may_end_with_1_but_not_complain(machine: Machine) -> None:
    machine.kernel_log("", exit_code=1)
    assert machine.judged(H100).exit_code == 0
    machine.kernel_log("", exit_code=1, complaint="No journal files were opened due to insufficient permissions.")
    assert machine.judged(H100).faults() == ["kernel log"]


def test_expectations_that_are_not_whole_pass_nothing(machine: Machine) -> None:
    judged = machine.judged({**H100, "tolerance": 1})
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
    assert not machine.metrics.exists()


def test_verdict_and_metrics_may_be_read_by_everyone_and_are_whole(machine: Machine) -> None:
    machine.judged(H100)
    for path in (machine.verdict, machine.metrics):
        assert path.stat().st_mode & 0o777 == 0o644
        assert [other.name for other in path.parent.iterdir()] == [path.name]
    lines = machine.metrics.read_text().splitlines()
    assert "nodestack_fabric_pass 1" in lines
    assert 'nodestack_fabric_check{check="topology"} 1' in lines


def test_a_fault_is_in_the_metrics_too(machine: Machine) -> None:
    machine.smi.record("h100-pix-gpu2-gpu3")
    machine.judged(H100)
    lines = machine.metrics.read_text().splitlines()
    assert "nodestack_fabric_pass 0" in lines
    assert 'nodestack_fabric_check{check="topology"} 0' in lines
    assert 'nodestack_fabric_check{check="NVLink"} 1' in lines


def test_the_verdict_is_what_the_package_reads(machine: Machine) -> None:
    FabricResult.model_validate_json(json.dumps(machine.judged(H100).verdict))


def test_what_was_measured_is_kept_and_told(machine: Machine) -> None:
    case = yaml.safe_load((CASES / "h100-x8-all-reduce-well.yaml").read_text())
    machine.program("all_reduce_perf", case["outputs"]["all-reduce"])
    first = machine.judged(H100, "--level=acceptance")
    assert first.exit_code == 0
    assert machine.called("all_reduce_perf") == ["-b 8 -e 8589934592 -f 2 -g 8"]
    later = machine.judged(H100)
    assert later.verdict["measured"]["busbw_gb_s"] == later.verdict["measured"]["baseline_gb_s"] == 470.63
    assert machine.called("all_reduce_perf") == ["-b 8 -e 8589934592 -f 2 -g 8"]
    FabricResult.model_validate_json(json.dumps(later.verdict))
    assert "nodestack_fabric_allreduce_busbw_bytes_per_second 470630000000" in machine.metrics.read_text().splitlines()
