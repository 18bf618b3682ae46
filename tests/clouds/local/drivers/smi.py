"""A packaged nvidia-smi, taken out of its package, on a root directory of its own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodestack.clouds.local import hardware


@dataclass(frozen=True)
class Smi:
    """nvidia-smi of one driver version on one recorded machine."""

    programs: Path
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "NVIDIA_REPLAY_ROOT": str(self.root),
            "LC_ALL": "C.UTF-8",
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, check=False, env=self.environment
        )

    def load(self, version: str) -> None:
        """Have a module of this version loaded."""
        place = self.root / "run/nvidia-replay/loaded-version"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(version + "\n")

    def manage(self) -> None:
        """Have the fabric manager ready."""
        place = self.root / "run/nvidia-fabricmanager/ready"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()

    def record(self, profile: str) -> None:
        """Have this hardware."""
        for path, content in hardware.files(profile).items():
            place = self.root / path.removeprefix("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def install(repository: Path, directory: Path, profile: str, package: str = "nvidia-utils-580-server") -> Smi:
    """Return a machine with this hardware, whose driver 580.95.05 and fabric manager run."""
    deb = next(repository.glob(f"{package}_580.95.05-*.deb"))
    subprocess.run(["dpkg-deb", "--extract", deb, directory / "package"], check=True)
    smi = Smi(directory / "package/usr/bin", directory / "root")
    smi.record(profile)
    smi.load("580.95.05")
    smi.manage()
    return smi
