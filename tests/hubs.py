"""A real hub on a free port of the loopback address, for the tests that fetch from one."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Hub(NamedTuple):
    """A hub that runs.

    Attributes:
        endpoint: What a client gets as HF_ENDPOINT.
        log: One JSON line for each request.
        faults: What the hub shall do wrong.
    """

    endpoint: str
    log: Path
    faults: Path

    def requests(self) -> list[dict[str, Any]]:
        """Return what was asked so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def request(self, **wanted: Any) -> dict[str, Any]:
        """Return the latest request with these values, waiting for it: it is written down after its last byte."""
        deadline = time.monotonic() + 5
        while True:
            found = [entry for entry in self.requests() if wanted.items() <= entry.items()]
            if found:
                return found[-1]
            assert time.monotonic() < deadline, f"no request with {wanted} in {self.requests()[-3:]}"
            time.sleep(0.01)

    def bodies(self) -> list[dict[str, Any]]:
        """Return the requests for files' contents."""
        return [request for request in self.requests() if request["method"] == "GET" and "/resolve/" in request["path"]]

    def go_wrong(self, *faults: dict[str, Any]) -> None:
        """Let the hub do these things wrong from now on."""
        named = [{"id": f"{time.monotonic_ns()}-{number}", **fault} for number, fault in enumerate(faults)]
        self.faults.write_text(json.dumps(named))

    def forget(self) -> None:
        """Let the log be empty and nothing go wrong, for the next test."""
        self.log.write_text("")
        self.faults.unlink(missing_ok=True)


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Hub]:
    """Run a hub whose log is in `directory`, with these arguments beyond the usual ones."""
    port = _free_port()
    log = directory / f"hub-{port}.jsonl"
    command = [sys.executable, "-m", "nodestack.clouds.local.hub", "--port", str(port), "--log", str(log), *arguments]
    process = subprocess.Popen(command)
    try:
        _wait_until_it_listens(process, port)
        yield Hub(f"http://127.0.0.1:{port}", log, log.with_suffix(".faults.json"))
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
