"""The smoke command as a process, a real HTTP server whose replies a test chooses, and a systemctl of its own."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parents[3] / "playbooks" / "roles" / "smoke" / "files"
KEY = "sk-only-the-clients-know"
MODEL = "tiny"

Reply = tuple[int, Any]


def chat(**message: Any) -> Reply:
    return 200, {"choices": [{"message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}]}


def call(arguments: str, name: str = "get_weather") -> Reply:
    return chat(tool_calls=[{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}])


class Api:
    """An OpenAI-compatible server; `replies` may be changed, `asked` has the bodies it got."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.locked = True
        self.delay_s = 0.0
        self.models = [MODEL]
        self.chat: Callable[[dict[str, Any]], Reply] = lambda body: chat(reasoning="Greet.", content="Hello there.")
        self.tool: Callable[[dict[str, Any]], Reply] = lambda body: call('{"city": "Paris", "unit": "celsius"}')
        self.completion: Callable[[dict[str, Any]], Reply] = lambda body: (200, {"choices": [{"text": " Paris."}]})

    def reply(self, path: str, key: str, body: dict[str, Any] | None) -> Reply:
        if self.locked and key != f"Bearer {KEY}":
            return 401, {"error": "Unauthorized"}
        if body is None:
            return 200, {"data": [{"id": name} for name in self.models]}
        self.asked.append(body)
        time.sleep(self.delay_s)
        if path == "/v1/completions":
            return self.completion(body)
        return self.tool(body) if "tools" in body else self.chat(body)


class Smoke:
    """The command, with a state directory and a systemctl of its own."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self.state = directory / "state"
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.key_file = directory / "api_key"
        self.key_file.write_text(KEY + "\n")
        self.progress = directory / "progress.json"
        self.started("1st")

    def started(self, invocation: str) -> None:
        systemctl = self.bin / "systemctl"
        systemctl.write_text(f"#!/bin/sh\necho {invocation}\n")
        systemctl.chmod(0o755)

    def run(
        self, kind: str = "chat_reasoning_tools", *more: str, timeout_s: float = 10
    ) -> "subprocess.CompletedProcess[str]":
        command = [
            sys.executable,
            "-m",
            "nodestack_smoke.run",
            f"--url={self.url}",
            f"--model={MODEL}",
            f"--kind={kind}",
        ]
        command += [f"--timeout-s={timeout_s}", f"--key-file={self.key_file}", f"--state-directory={self.state}"]
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
        return subprocess.run(
            [*command, f"--progress={self.progress}", *more],
            cwd=PROGRAMS, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def result(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.state / "results" / "smoke.json").read_text())
        return content


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def smoke(api: Api, tmp_path: Path) -> Iterator[Smoke]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any] | None) -> None:
            status, content = api.reply(self.path, self.headers.get("Authorization", ""), body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has waited long enough goes away; that is no fault of the server."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Smoke(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
