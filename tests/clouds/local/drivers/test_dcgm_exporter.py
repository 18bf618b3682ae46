"""The stand-in exporter says what the profile measures, in the form of the real one."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodestack.clouds.local import hardware
from nodestack.clouds.local.drivers.package import PAYLOAD, packages

COUNTERS = Path(__file__).parents[4] / "playbooks" / "roles" / "monitoring" / "files" / "dcgm-counters.csv"
LINE = re.compile(r'^DCGM_FI_DEV_[A-Z_]+\{gpu="\d",UUID="GPU-[0-9a-f-]+",pci_bus_id="[0-9A-F:.]+",device="nvidia\d",')


class Exporter:
    """A started exporter and the machine that it reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "run/nvidia-replay").mkdir(parents=True)
        (root / "etc/nvidia-replay").mkdir(parents=True)
        (root / "run/nvidia-replay/loaded-version").write_text("580.95.05\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}/metrics"

    def record(self, profile: str) -> None:
        for path, content in hardware.files(profile).items():
            place = self.root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def lines(self) -> list[str]:
        with urllib.request.urlopen(self.url, timeout=5) as reply:  # noqa: S310 - our own server
            text: str = reply.read().decode()
        return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    made = Exporter(tmp_path)
    made.record("h100-sxm5-x8")
    address = made.url.removeprefix("http://").removesuffix("/metrics")
    command = [sys.executable, str(PAYLOAD / "dcgm-exporter"), "--collectors", str(COUNTERS), "--address", address]
    started = subprocess.Popen(command, env={**os.environ, "NVIDIA_REPLAY_ROOT": str(tmp_path)})
    try:
        for _ in range(100):
            try:
                made.lines()
                break
            except OSError:
                time.sleep(0.1)
        yield made
    finally:
        started.terminate()
        started.wait()


def value(lines: list[str], field: str, gpu: int) -> str:
    (found,) = [line for line in lines if line.startswith(f'{field}{{gpu="{gpu}"')]
    return found.rsplit(" ", 1)[1]


def test_it_says_every_field_of_the_file_for_every_gpu(exporter: Exporter) -> None:
    fields = [line.split(",")[0] for line in COUNTERS.read_text().splitlines() if not line.startswith("#")]
    lines = exporter.lines()
    assert len(lines) == 8 * len(fields)
    assert all(LINE.match(line) for line in lines)
    assert value(lines, "DCGM_FI_DEV_GPU_TEMP", 7) == "32"


def test_another_recording_shows_at_the_next_request(exporter: Exporter) -> None:
    exporter.record("h100-ecc-errors")
    lines = exporter.lines()
    assert value(lines, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 5) == "4"
    assert value(lines, "DCGM_FI_DEV_ROW_REMAP_PENDING", 5) == "1"
    exporter.record("h100-missing-gpu")
    assert sum(line.startswith("DCGM_FI_DEV_GPU_TEMP{") for line in exporter.lines()) == 7


def test_without_a_loaded_driver_it_says_nothing(exporter: Exporter) -> None:
    (exporter.root / "run/nvidia-replay/loaded-version").unlink()
    assert exporter.lines() == []


def test_a_line_that_the_rules_do_not_know_is_offered_too_so_that_the_pin_is_tried() -> None:
    offered = {tool.version.rsplit(".", 1)[0] for tool in packages().tools}
    assert offered == {"4.8", "4.9"}
