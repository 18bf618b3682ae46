"""What takes minutes is measured once, only on GPUs that nothing uses, and held against figures and baseline."""

import json
from pathlib import Path

import pytest
import yaml
from nodestack_fabric.entries import Entry, all_well
from nodestack_fabric.measured import Measured, keep, read

from tests.playbooks.fabric.world import TODAY, World, expected, four_h200, world

CASES = Path(__file__).parent / "cases"
ALL_REDUCE = yaml.safe_load((CASES / "h100-x8-all-reduce-well.yaml").read_text())["outputs"]["all-reduce"]
DCGM = yaml.safe_load((CASES / "h100-x8-dcgm-well.yaml").read_text())["outputs"]["dcgm"]


def node(**told: str) -> World:
    made = world(**{"all_reduce": ALL_REDUCE, "dcgm": DCGM, **told})
    made.programs = ("all_reduce_perf", "dcgmi")
    return made


def of_four(gb_s: float) -> str:
    """Return a run over four GPUs that reached this."""
    lines = [line for line in ALL_REDUCE.splitlines() if not any(f"Rank  {rank} " in line for rank in range(4, 8))]
    return "\n".join(lines).replace("470.73      0    31795  270.17  470.63", f"{gb_s}      0    31795  270.17  {gb_s}")


def entry(entries: list[Entry], check: str) -> Entry | None:
    return next((entry for entry in entries if entry.check == check), None)


def test_at_boot_nothing_is_measured_that_takes_minutes() -> None:
    made = node()
    assert all_well(made.judged(expected()))
    assert "all-reduce" not in made.asked
    assert made.measured is not None
    assert (made.measured.busbw_gb_s, made.measured.dcgm_level) == (None, 1)


def test_at_acceptance_it_is_measured_and_kept_and_not_measured_again() -> None:
    made = node()
    assert all_well(made.judged(expected(), acceptance=True))
    assert made.asked.count("all-reduce") == 1
    assert made.measured is not None
    assert (made.measured.busbw_gb_s, made.measured.baseline_gb_s) == (470.63, 470.63)
    assert (made.measured.date, made.measured.dcgm_level) == (TODAY.isoformat(), 2)
    entries = made.judged(expected(), acceptance=True)
    assert made.asked.count("all-reduce") == 1
    found = entry(entries, "NCCL all-reduce")
    assert found is not None
    assert (found.seen, found.expected) == (
        "470.6 GB/s on 2026-11-27",
        "at least 424 GB/s (90% of 470.6, this node's own baseline)",
    )
    made.judged(expected(), acceptance=True, again=True)
    assert made.asked.count("all-reduce") == 2


def test_what_computes_on_the_gpus_is_not_disturbed_and_the_last_measurement_holds() -> None:
    made = node(processes="81234\n81235\n")
    assert all_well(made.judged(expected(), acceptance=True, again=True))
    assert "all-reduce" not in made.asked
    before = Measured(tuple(load_uuids(made)), 200.0, "2026-11-01", 470.0, "2026-10-01", 2)
    made.measured = before
    assert not all_well(made.judged(expected(), acceptance=True, again=True))
    assert "all-reduce" not in made.asked


def load_uuids(made: World) -> list[str]:
    return [line.split(", ")[2] for line in made.told["gpus"].splitlines()]


def test_gpus_whose_processes_cannot_be_listed_are_not_measured() -> None:
    made = node()
    made.ends = {"processes": 6}
    assert all_well(made.judged(expected(), acceptance=True))
    assert "all-reduce" not in made.asked


def test_a_failed_measurement_is_repeated_as_soon_as_the_gpus_are_free() -> None:
    made = node()
    made.measured = Measured(tuple(load_uuids(made)), 200.0, "2026-11-01", 470.0, "2026-10-01", 2)
    assert not all_well(made.judged(expected()))
    assert all_well(made.judged(expected(), acceptance=True))


def test_measurements_of_other_gpus_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    keep(path, Measured(("GPU-a", "GPU-b"), 470.0, "2026-11-01", 470.0, "2026-10-01", 2))
    assert read(path, ("GPU-a", "GPU-b")).busbw_gb_s == 470.0
    assert read(path, ("GPU-a", "GPU-c")) == Measured(("GPU-a", "GPU-c"))


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        "null",
        '{"gpus": 3}',
        '{"gpus": ["a"], "more": 1}',
        '{"gpus": ["a"], "busbw_gb_s": "9e9"}',
        '{"gpus": ["a"], "baseline_gb_s": -1}',
        '{"gpus": ["a"], "busbw_gb_s": true}',
    ],
)
def test_a_damaged_record_is_as_good_as_none(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "measured.json"
    path.write_text(damaged)
    assert read(path, ("a",)) == Measured(("a",))


def test_four_h200_are_held_against_their_own_first_measurement() -> None:
    made = world("h200-sxm5-x4", all_reduce=of_four(350.0))
    made.programs = ("all_reduce_perf",)
    assert all_well(made.judged(four_h200(), acceptance=True))
    made.told["all-reduce"] = of_four(316.0)
    assert all_well(made.judged(four_h200(), acceptance=True, again=True))
    made.told["all-reduce"] = of_four(314.0)
    failed = [entry for entry in made.judged(four_h200(), acceptance=True, again=True) if not entry.passed]
    assert [(entry.check, entry.seen) for entry in failed] == [("NCCL all-reduce", "314.0 GB/s on 2026-11-27")]
    assert failed[0].expected == "at least 315 GB/s (90% of 350.0, this node's own baseline)"
    # The slow run is no new baseline, nor is the one before that was within the tolerance.
    assert made.measured is not None
    assert made.measured.baseline_gb_s == 350.0


def test_a_first_measurement_that_pcie_could_reach_is_no_baseline() -> None:
    made = world("h200-sxm5-x4", all_reduce=of_four(42.0))
    made.programs = ("all_reduce_perf",)
    assert not all_well(made.judged(four_h200(), acceptance=True))
    assert made.measured is not None
    assert made.measured.baseline_gb_s is None


@pytest.mark.parametrize("status", ["Fail", "Warn", "Error", "", "NotRun", "Passed?"])
@pytest.mark.parametrize("gpu", range(8))
def test_one_result_of_the_diagnostics_that_is_no_pass_is_enough(gpu: int, status: str) -> None:
    document = json.loads(DCGM)
    document["DCGM Diagnostic"]["test_categories"][0]["tests"][0]["results"][gpu]["status"] = status
    assert not all_well(node(dcgm=json.dumps(document)).judged(expected()))


@pytest.mark.parametrize(
    "answer", ["", "null", "[]", "{}", '{"DCGM Diagnostic": {}}', '{"DCGM Diagnostic": {"test_categories": []}}']
)
def test_diagnostics_that_prove_nothing_do_not_pass(answer: str) -> None:
    assert not all_well(node(dcgm=answer).judged(expected()))


def test_diagnostics_that_leave_out_a_gpu_do_not_pass() -> None:
    document = json.loads(DCGM)
    del document["DCGM Diagnostic"]["test_categories"][0]["tests"][0]["results"][3]
    assert not all_well(node(dcgm=json.dumps(document)).judged(expected()))


def test_broken_hardware_is_not_measured() -> None:
    made = node()
    made.told["topology"] = made.told["topology"].replace("NV18", "SYS")
    assert not all_well(made.judged(expected(), acceptance=True))
    assert not {"all-reduce", "dcgm", "processes"} & set(made.asked)


def test_the_wait_for_the_fabric_ends_at_once_where_waiting_would_not_help() -> None:
    made = world(fabric="".join(f"{gpu}, Completed, Insufficient Resources\n" for gpu in range(8)))
    assert not all_well(made.judged(expected(wait_s=300)))
    assert made.waited_s == 0
    late = world(fabric="".join(f"{gpu}, In Progress, N/A\n" for gpu in range(8)))
    assert not all_well(late.judged(expected(wait_s=300)))
    assert late.waited_s == 300
