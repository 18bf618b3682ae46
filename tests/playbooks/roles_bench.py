"""A real local node for tests of roles: single ones are played on it, with a document made for them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nodestack.clouds.local import drivers, hardware
from nodestack.provisioning.workspace import ANSIBLE
from tests.playbooks.reached import Play, Reached, booted

DOCUMENT: dict[str, Any] = {
    "base_identity": "test",
    "nvidia_driver_version": "580.95.05",
    "nvidia_driver_minimum_version": "580",
    "nvidia_driver_fabric_manager": True,
    "nvidia_driver_repository_uri": "http://127.0.0.1:8091/apt",
    "nvidia_driver_repository_key_url": "http://127.0.0.1:8091/apt/key.asc",
    "nvidia_driver_switches_on_bus": True,
    "nvidia_driver_upgrade": True,
    "nvidia_driver_cuda_toolkit": False,
    "fabric_gpu_count": 8,
    "fabric_gpu_name": "NVIDIA H100 80GB HBM3",
    "fabric_gpu_memory_mib": 81559,
    "fabric_nvlinks_per_gpu": 18,
    "fabric_nvlink_speed_gb_s": 26.562,
    "fabric_nvswitch": True,
    "fabric_wait_s": 10,
    "fabric_gpu_mig": True,
    "fabric_sm_clock_mhz": 1980,
    "fabric_pcie_generation": 5,
    "fabric_pcie_width": 16,
    "fabric_busbw_gb_s": 0.0,
}
FOUR_H200: dict[str, Any] = {
    "fabric_gpu_count": 4,
    "fabric_gpu_name": "NVIDIA H200",
    "fabric_gpu_memory_mib": 143771,
}


@dataclass
class Bench(Reached):
    """A node, and the way to it."""

    def on(self, command: str, timeout_s: float = 120) -> str:
        """Return what a command of the login user's prints, whatever it ends with."""
        return self.ssh(command, timeout_s).stdout.strip()

    def play(self, *roles: str, check: bool = False, **changes: object) -> Play:
        """Play roles with the document, changed as said; in check mode nothing is to change."""
        playbook, variables = self.directory / "play.json", self.directory / "variables.json"
        facts = {"gather_subset": ["!all", "!min", "distribution"]}
        playbook.write_text(
            json.dumps([{"hosts": "all", "become": True, "roles": roles, **facts, "gather_facts": True}])
        )
        pinned = {"nvidia_driver_repository_key_fingerprint": fingerprint()}
        variables.write_text(json.dumps({**DOCUMENT, **pinned, **self.variables, **changes}))
        options = ["--check", "--diff"] if check else []
        program = Path(sys.executable).with_name("ansible-playbook")
        ended = subprocess.run(
            [program, "-i", f"{self.node.address},", "-e", f"@{variables}", *options, playbook],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **ANSIBLE, "ANSIBLE_SSH_RETRIES": "5"},
        )
        return Play(ended.returncode, ended.stdout + ended.stderr)

    def record(self, profile: str) -> None:
        """Have other hardware from now on."""
        for path, content in hardware.files(profile).items():
            place = self.directory / Path(path).name
            place.write_bytes(content)
            self.on(f"sudo tee {path} >/dev/null <<'ENDS'\n{content.decode()}ENDS")


@contextmanager
def opened(directory: Path, size_gib: int = 1) -> Iterator[Bench]:
    """Have a node with eight H100, no driver, and a blank volume of this size; its account is in the directory."""
    with booted(directory, "roles", size_gib=size_gib) as reached:
        yield Bench(reached.node, directory)


@cache
def fingerprint() -> str:
    """Return the fingerprint of the stand-in repository's key."""
    with TemporaryDirectory() as home:
        command = ["gpg", "--homedir", home, "--no-keyring", "--with-colons", "--show-keys"]
        key = str(drivers.repository() / "key.asc")
        listed = subprocess.run([*command, key], capture_output=True, text=True, check=True).stdout
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
