"""A real local node that is watched; where an engine is wanted, what a real one said is told again."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nodestack.clouds.local import hardware
from nodestack.clouds.local.hardware.telemetry import Telemetry
from tests.playbooks.monitoring import rendering
from tests.playbooks.nvidia_driver.conftest import bench
from tests.playbooks.reached import Play
from tests.playbooks.roles_bench import Bench
from tests.provisioning.documents import node_document

__all__ = ["bench"]

RECORDED = Path(__file__).parent / "recorded"
# Short enough to wait for; the expressions stay what they are. A Prometheus that starts finds its targets after 5 s,
# and must not tell of them before.
FAST = {
    "monitoring_scrape_interval_s": 2,
    "monitoring_evaluation_interval_s": 2,
    "monitoring_hold_s": dict.fromkeys(rendering.defaults()["monitoring_hold_s"], 4)
    | {"EngineDown": 12, "TargetDown": 12},
    "monitoring_windows_s": {"rate": 30, "trend": 60, "restarts": 120, "cost": 60},
}
PATIENCE_S = 60.0
EXPORTERS = {"node", "gpu", "prometheus"}


@dataclass(frozen=True)
class Watched:
    """A node, and what its Prometheus says."""

    bench: Bench

    def play(self, *roles: str, check: bool = False, **changes: Any) -> Play:
        """Play roles, by default monitoring, with a local stack's document and short times."""
        document = node_document().model_dump(mode="json")
        wanted = [{"role": role, "check_mode": check} for role in roles or ("monitoring",)]
        own = {"monitoring_enabled": True, "fabric_harmless_xids": [13, 31, 43, 45]}
        return self.bench.play(*wanted, **{**document, **own, **FAST, **changes})  # type: ignore[arg-type]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the samples that a query comes to."""
        said = self.bench.on(f"curl -s 'http://127.0.0.1:9090/api/v1/query?query={quote(query)}'")
        answer = json.loads(said or "{}")
        found: list[dict[str, Any]] = answer.get("data", {}).get("result", [])
        return found

    def firing(self) -> list[dict[str, Any]]:
        """Return the alerts that fire, several of one name where several things are wrong."""
        answer = json.loads(self.bench.on("curl -s http://127.0.0.1:9090/api/v1/alerts") or "{}")
        every: list[dict[str, Any]] = answer.get("data", {}).get("alerts", [])
        return [alert for alert in every if alert["state"] == "firing"]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return an alert of each name that fires, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.firing()}

    def until(self, holds: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait for something; return it."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if found := holds():
                return found
            time.sleep(1)
        pytest.fail(f"{what}: not within {patience_s:.0f} s; firing: {sorted(self.alerts())}")

    def until_firing(self, *names: str) -> dict[str, dict[str, Any]]:
        """Wait until alerts fire; return all that do."""
        found: dict[str, dict[str, Any]] = self.until(
            lambda: fired if set(names) <= (fired := self.alerts()).keys() else None, f"{', '.join(names)} must fire"
        )
        return found

    def until_quiet(self, *names: str) -> None:
        """Wait until alerts do not fire any more."""
        self.until(lambda: not set(names) & self.alerts().keys(), f"{', '.join(names)} must end")

    @contextmanager
    def tunnel(self, port: int) -> Iterator[str]:
        """Reach a port of the node's loopback from here, as an operator does; yields its URL."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            here = free.getsockname()[1]
        node, directory = self.bench.node, self.bench.directory
        command = [
            *("ssh", "-N", "-L", f"127.0.0.1:{here}:127.0.0.1:{port}", "-i", f"{directory}/key"),
            *("-o", f'UserKnownHostsFile="{directory}/known_hosts"', "-o", "ExitOnForwardFailure=yes"),
            *("-o", "BatchMode=yes", "-p", str(node.ssh_port), f"{node.ssh_user}@{node.address}"),
        ]
        opened = subprocess.Popen(command)
        try:
            self.until(lambda: _answers(here), "the tunnel is open")
            yield f"http://127.0.0.1:{here}"
        finally:
            opened.terminate()
            opened.wait()

    def measure(self, **telemetry: Any) -> None:
        """Have the GPUs of a healthy board measure something else from now on."""
        healthy = hardware.load("h100-sxm5-x8")
        board = healthy.model_copy(update={"telemetry": Telemetry(**telemetry)})
        self.write(f"{hardware.REPLAY_DIRECTORY}/dcgm.json", hardware.render(board)["dcgm.json"].decode())

    def write(self, path: str, text: str) -> None:
        """Write a file as root."""
        self.bench.on(f"sudo tee {path} >/dev/null <<'ENDS'\n{text.rstrip()}\nENDS")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="package")
def watched(bench: Bench) -> Iterator[Watched]:
    """Return a node that is watched, without an engine."""
    node = Watched(bench)
    first = node.play("base", "nvidia_driver", "monitoring")
    assert first.exit_code == 0, first.text
    # An exporter that has just started may not answer yet, and is told of as one that does not.
    node.until(lambda: {target["metric"]["job"] for target in node.ask("up == 1")} >= EXPORTERS, "exporters answer")
    node.until_quiet("TargetDown")
    yield node
