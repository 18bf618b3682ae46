"""Runs what takes minutes, where it is installed and may: DCGM's diagnostics and NCCL's all-reduce."""

from dataclasses import dataclass, replace

from nodestack_fabric import NotUnderstood, dcgm, nccl
from nodestack_fabric.entries import Entry, all_well
from nodestack_fabric.expected import Expected
from nodestack_fabric.guarded import READ_REMEDY, guarded
from nodestack_fabric.measured import Measured
from nodestack_fabric.surroundings import Surroundings

QUICK_LEVEL = 1
DIAGNOSTICS_TIMEOUT_S = {1: 300, 2: 900, 3: 3600}
ALL_REDUCE_TIMEOUT_S = 600
ENGINE_REMEDY = "start its host engine (systemctl start nvidia-dcgm) and verify again; " + READ_REMEDY


@dataclass
class Measuring:
    """Measurements of one run.

    Attributes:
        expected: What the node must be.
        around: The world.
        measured: What is known so far; renewed by each measurement.
        acceptance: Whether there is time to measure.
        again: Measure again what was measured before.
    """

    expected: Expected
    around: Surroundings
    measured: Measured
    acceptance: bool
    again: bool

    def judge(self) -> list[Entry]:
        """Return what diagnostics and all-reduce found, now or before; nothing of what is not installed."""
        idle = self.acceptance and self._idle()
        entries: list[Entry] = []
        dcgmi = self.around.find(dcgm.PROGRAM, ())
        if dcgmi is not None:
            entries += guarded(dcgm.CHECK, lambda: self._diagnose(dcgmi, idle), ENGINE_REMEDY)
        if len(self.measured.gpus) > 1:
            entries += guarded(nccl.CHECK, lambda: self._all_reduce(idle), nccl.REMEDY)
        return entries

    def _idle(self) -> bool:
        """Return whether surely nothing computes on the GPUs: measuring would end it, or be held back by it."""
        try:
            return not self.around.run("nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader").strip()
        except NotUnderstood:
            return False

    def _diagnose(self, dcgmi: str, idle: bool) -> list[Entry]:
        """Run the diagnostics: quick ones that disturb nobody, or deeper ones not passed yet."""
        wanted = self.expected.dcgm_level
        level = wanted if idle and (self.again or self.measured.dcgm_level < wanted) else QUICK_LEVEL
        self.around.tell(f"diagnosing the GPUs at level {level}")
        # It ends with another number than 0 where a test failed; which one, its answer says.
        answer = self.around.run(
            dcgmi, "diag", "-r", str(level), "-j", answers=None, timeout_s=DIAGNOSTICS_TIMEOUT_S[level]
        )
        entries = dcgm.judge(answer, level, len(self.measured.gpus))
        if all_well(entries):
            self.measured = replace(self.measured, dcgm_level=max(level, self.measured.dcgm_level))
        return entries

    def _all_reduce(self, idle: bool) -> list[Entry]:
        """Judge by the last measurement, or by a new one where that is possible and called for."""
        before = self._last()
        program = self.around.find(nccl.PROGRAM, nccl.PLACES)
        if program is None or not idle or (all_well(before) and not self.again):
            return before
        self.around.tell("measuring the bandwidth between the GPUs")
        count = len(self.measured.gpus)
        answer = self.around.run(program, *nccl.ARGUMENTS, "-g", str(count), timeout_s=ALL_REDUCE_TIMEOUT_S)
        seen, date = nccl.busbw(answer, count), self.around.today().isoformat()
        entries = nccl.judge(seen, self.measured.baseline_gb_s, self.expected, date)
        self.measured = self.measured.with_all_reduce(seen, date, well=all_well(entries))
        return entries

    def _last(self) -> list[Entry]:
        """Return what the last measurement amounts to; nothing where there was none."""
        if self.measured.busbw_gb_s is None:
            return []
        return nccl.judge(self.measured.busbw_gb_s, self.measured.baseline_gb_s, self.expected, self.measured.date)
