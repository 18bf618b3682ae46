"""Judges a node: asks the commands, waits for the fabric, and gathers the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, field

from nodestack_fabric import clocks, fabric_state, gpus, kernel_log, nvlink, pcie, topology
from nodestack_fabric.entries import Entry, all_well
from nodestack_fabric.expected import Expected
from nodestack_fabric.guarded import guarded
from nodestack_fabric.measured import Measured
from nodestack_fabric.measuring import Measuring
from nodestack_fabric.surroundings import Surroundings
from nodestack_fabric.tables import Row

POLL_S = 2.0
SMI = "nvidia-smi"


@dataclass
class Gate:
    """One run over a node.

    Attributes:
        expected: What the node must be.
        around: The world.
        recall: Returns what was measured before on GPUs with these UUIDs.
        acceptance: Also measure what was not measured yet; else ask only what is quick.
        again: Measure again what was measured before.
        measured: What is known of measurements after the run; None where it did not get that far.
    """

    expected: Expected
    around: Surroundings
    recall: Callable[[tuple[str, ...]], Measured]
    acceptance: bool = False
    again: bool = False
    measured: Measured | None = field(default=None, init=False)

    def judge(self) -> list[Entry]:
        """Return the entries of all checks; those of single GPUs need the list of GPUs first."""
        listed: list[Row] = []

        def list_them() -> list[Entry]:
            listed.extend(gpus.read(self._query("gpu", gpus.FIELDS)))
            return gpus.judge(listed, self.expected)

        entries = guarded("GPU list", list_them)
        if listed:
            entries += self._of_gpus(listed)
        # journalctl answers 1 where there is nothing to show.
        kernel = ("journalctl", "-k", "-b", "-q", "-o", "cat", "--no-pager")
        entries += guarded(
            "kernel log", lambda: kernel_log.judge(self.around.run(*kernel, answers=(0, 1)), self.expected)
        )
        # Measuring broken hardware takes long and tells nothing more.
        return entries + self._measured(listed) if all_well(entries) else entries

    def _of_gpus(self, listed: list[Row]) -> list[Entry]:
        """Return what is found of the GPUs that were listed."""
        expected, count = self.expected, len(listed)
        entries: list[Entry] = []
        if expected.nvswitch:
            entries += guarded("fabric", lambda: fabric_state.judge(self._settled(count), expected.wait_s))
        entries += guarded(
            "row remap", lambda: gpus.judge_remaps(self._query("remapped-rows", gpus.REMAP_FIELDS), listed)
        )
        entries += guarded("PCIe", lambda: pcie.judge(self._query("gpu", pcie.FIELDS), expected, count))
        entries += guarded("clocks", lambda: clocks.judge(self._query("gpu", clocks.FIELDS), expected, count))
        return entries + self._links(listed) if expected.nvlinks_per_gpu else entries

    def _links(self, listed: list[Row]) -> list[Entry]:
        """Return what is found of the ways between the GPUs."""
        expected, run = self.expected, self.around.run
        entries = guarded("topology", lambda: topology.judge(run(SMI, "topo", "-m"), len(listed), expected))
        entries += guarded("NVLink", lambda: nvlink.judge(run(SMI, "nvlink", "-s"), listed, expected))
        uptime_s = self.around.uptime_s()
        return entries + guarded(
            "NVLink errors", lambda: nvlink.judge_errors(run(SMI, "nvlink", "-e"), listed, expected, uptime_s)
        )

    def _query(self, what: str, fields: tuple[str, ...]) -> str:
        return self.around.run(SMI, f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits")

    def _settled(self, count: int) -> list[fabric_state.State]:
        """Return the fabric's state once no GPU may still complete, or when the wait is over."""
        started, wait_s = self.around.clock(), self.expected.wait_s
        while True:
            states = fabric_state.read(self._query("gpu", fabric_state.FIELDS), count)
            waiting, waited_s = fabric_state.waits(states), self.around.clock() - started
            if not waiting or waited_s >= wait_s:
                return states
            self.around.tell(f"waiting for the fabric: {', '.join(waiting)}, {waited_s:.0f} of {wait_s} s")
            self.around.sleep(min(POLL_S, max(0.1, wait_s - waited_s)))

    def _measured(self, listed: list[Row]) -> list[Entry]:
        """Return what diagnostics and measurements found, now or before."""
        known = self.recall(tuple(gpu["uuid"] for gpu in listed))
        measuring = Measuring(self.expected, self.around, known, self.acceptance, self.again)
        entries = measuring.judge()
        self.measured = measuring.measured
        return entries
