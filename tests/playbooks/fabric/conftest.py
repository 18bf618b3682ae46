"""A machine with recorded hardware, on which the gate runs as the real process it is."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clouds.local.drivers.conftest import repository
from tests.clouds.local.drivers.smi import Smi, install

__all__ = ["Machine", "machine", "repository"]

ROLE = Path(__file__).parents[3] / "playbooks/roles/fabric"
H100: dict[str, Any] = {
    "gpu_count": 8,
    "gpu_name": "NVIDIA H100 80GB HBM3",
    "gpu_memory_mib": 81559,
    "gpu_mig": True,
    "sm_clock_mhz": 1980,
    "pcie_generation": 5,
    "pcie_width": 16,
    "nvlinks_per_gpu": 18,
    "nvlink_speed_gb_s": 26.562,
    "nvswitch": True,
    "wait_s": 0,
    "harmless_xids": [13, 31, 43, 45],
    "busbw_gb_s": 460,
    "busbw_floor": 0.8,
    "busbw_pcie_gb_s": 64,
    "busbw_tolerance": 0.1,
    "crc_errors_per_s": 100,
    "dcgm_level": 2,
}
H200 = {**H100, "gpu_count": 4, "gpu_name": "NVIDIA H200", "gpu_memory_mib": 143771, "busbw_gb_s": 0}


@dataclass(frozen=True)
class Judgement:
    """What the gate left behind."""

    exit_code: int
    lines: list[str]
    verdict: dict[str, Any]

    def faults(self) -> list[str]:
        return [check["check"] for check in self.verdict["checks"] if not check["pass"]]


@dataclass(frozen=True)
class Machine:
    """A machine, its nvidia-smi, and the gate's files on it."""

    smi: Smi
    directory: Path

    @property
    def verdict(self) -> Path:
        return self.directory / "results/fabric.json"

    @property
    def metrics(self) -> Path:
        return self.directory / "metrics/fabric.prom"

    @property
    def measured(self) -> Path:
        return self.directory / "fabric/measured.json"

    @property
    def progress(self) -> Path:
        return self.directory / "progress.json"

    def kernel_log(self, text: str, exit_code: int = 0, complaint: str = "") -> None:
        """Have journalctl answer with this."""
        self.program("journalctl", text, exit_code, complaint)

    def program(self, name: str, text: str, exit_code: int = 0, complaint: str = "") -> None:
        """Have a program that answers with this, and notes its arguments."""
        answer = self.directory / f"{name}.answer"
        answer.write_text(text)
        program = self.smi.programs / name
        noted = f"echo \"$@\" >>'{self.directory}/{name}.called'"
        program.write_text(f"#!/bin/sh\n{noted}\ncat '{answer}'\necho -n '{complaint}' >&2\nexit {exit_code}\n")
        program.chmod(0o755)

    def called(self, name: str) -> list[str]:
        """Return the arguments of each call of such a program."""
        noted = self.directory / f"{name}.called"
        return noted.read_text().splitlines() if noted.exists() else []

    def start(self, expected: object, *flags: str) -> subprocess.Popen[str]:
        path = self.directory / "expected.json"
        path.write_text(json.dumps(expected))
        options = [
            f"--expectations={path}",
            *(f"--{name}={getattr(self, name)}" for name in ("verdict", "metrics", "measured", "progress")),
        ]
        environment: Mapping[str, str] = {**self.smi.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "nodestack_fabric.main", *options, *flags],
            cwd=ROLE / "files",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def judged(self, expected: object, *flags: str) -> Judgement:
        with self.start(expected, *flags) as gate:
            printed, complaint = gate.communicate(timeout=60)
        assert complaint == ""
        return Judgement(gate.returncode, printed.splitlines(), json.loads(self.verdict.read_text()))


@pytest.fixture
def machine(repository: Path, tmp_path: Path) -> Machine:
    """Return a machine that is well; record other hardware on it to break it."""
    machine = Machine(install(repository, tmp_path, "h100-sxm5-x8"), tmp_path)
    machine.kernel_log("Linux version 6.8.0\nNVRM: loading NVIDIA UNIX Open Kernel Module\n")
    return machine


def hide(machine: Machine, program: str) -> None:
    """Take a program away from the machine."""
    (machine.smi.programs / program).unlink()
