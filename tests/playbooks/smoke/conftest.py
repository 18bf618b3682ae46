"""The smoke command, a real HTTP server whose replies a test chooses, and a systemctl of its own."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nodestack_smoke.run import main

from tests.playbooks.smoke.standin import COMMIT, KEY, METRICS, MODEL, VERSION, Api

PROGRAMS = Path(__file__).parents[3] / "playbooks" / "roles" / "smoke" / "files"


class Smoke:
    """The command, with a state directory and a systemctl of its own."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self.state = directory / "state"
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.key_file = directory / "api_key"
        self.key_file.write_text(KEY + "\n")
        self.metrics = directory / "engine-metrics.json"
        self.metrics.write_text(json.dumps({"metrics": METRICS}))
        self.progress = directory / "progress.json"
        self.started("1st")

    def started(self, invocation: str, active: str = "active", since_s: float = 60) -> None:
        entered = int((time.clock_gettime(time.CLOCK_MONOTONIC) - since_s) * 1e6)
        properties = f"ActiveState={active}\\nInvocationID={invocation}\\nActiveEnterTimestampMonotonic={entered}\\n"
        systemctl = self.bin / "systemctl"
        systemctl.write_text(f"#!/bin/sh\nprintf '{properties}'\n")
        systemctl.chmod(0o755)

    def run(
        self, kind: str = "chat_reasoning_tools", *more: str, timeout_s: float = 10
    ) -> "subprocess.CompletedProcess[str]":
        command = [f"--url={self.url}", f"--model={MODEL}", f"--kind={kind}"]
        command += [f"--commit={COMMIT}", f"--engine-version={VERSION}", f"--timeout-s={timeout_s}"]
        command += [f"--key-file={self.key_file}", f"--metrics={self.metrics}", f"--state-directory={self.state}"]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main([*command, f"--progress={self.progress}", *more])
        return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())

    def run_as_installed(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "nodestack_smoke.run", *arguments],
            cwd=PROGRAMS,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def result(self, name: str = "smoke") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.state / "results" / f"{name}.json").read_text())
        return content

    def failed(self, name: str = "smoke") -> list[str]:
        """Names of the checks that did not pass."""
        return [check["check"] for check in self.result(name)["checks"] if not check["pass"]]


@pytest.fixture
def api(tmp_path: Path) -> Api:
    commit = tmp_path / "weights" / "org--tiny" / COMMIT
    commit.mkdir(parents=True)
    current = tmp_path / "weights" / "current"
    current.symlink_to(commit.relative_to(current.parent))
    long_before_the_start = time.time() - 3600
    os.utime(current, (long_before_the_start, long_before_the_start), follow_symlinks=False)
    return Api(weights=current)


@pytest.fixture
def smoke(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Smoke]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any] | None) -> None:
            status, content = api.reply(self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            if isinstance(content, list):
                self.end_headers()
                for line in content:
                    self.wfile.write(f"{line}\n\n".encode())
                return
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has waited long enough goes away; that is no fault of the server."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        smoke = Smoke(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setattr("nodestack_smoke.run.PROBE_PAUSE_S", 0.01)
        monkeypatch.setenv("PATH", f"{smoke.bin}:{os.environ['PATH']}")
        yield smoke
        server.shutdown()
        thread.join()
