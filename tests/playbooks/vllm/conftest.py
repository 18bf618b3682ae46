"""The vllm role's programs as processes; systemd and its journal are stand-ins that say what a test wants."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROLE = Path(__file__).parents[3] / "playbooks" / "roles" / "vllm"
PROGRAMS = ROLE / "files"


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", **more}


def run(module: str, *arguments: object, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", f"nodestack_vllm.{module}", *(str(word) for word in arguments)]
    return subprocess.run(command, cwd=PROGRAMS, env=environment(**more), capture_output=True, text=True, check=False)


def wheel(index: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Put a wheel into a flat index; return it as a line of a lock."""
    path = index / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in content.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


SYSTEMCTL = """#!/usr/bin/env python3
import json, sys
from pathlib import Path
here = Path(__file__).parent
state = json.loads((here / "unit.json").read_text())
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
unit = sys.argv[-1] if sys.argv[1] != "show" else sys.argv[2]
if sys.argv[1] == "stop":
    state |= {"active": "inactive", "sub": "dead"}
    (here / "unit.json").write_text(json.dumps(state))
elif sys.argv[1] == "start":
    if state["gate"] == "failed":
        sys.exit("A dependency job for the unit failed.")
    state |= {"active": "active", "sub": "running", "invocation": state["invocation"] + "+"}
    (here / "unit.json").write_text(json.dumps(state))
elif sys.argv[1] == "show":
    if state["ends_after"] is not None and state["active"] == "active":
        state["ends_after"] -= 1
        if state["ends_after"] < 0:
            state |= {"active": "activating", "sub": "auto-restart"}
        (here / "unit.json").write_text(json.dumps(state))
    active = state["gate"] if "weights" in unit else state["active"]
    print(f"ActiveState={active}\\nSubState={state['sub']}\\nInvocationID={state['invocation']}\\nNRestarts=0")
    if "ready" in unit and state["ready_s"] is not None:
        print(f"ExecMainExitTimestampMonotonic={int(state['ready_s'] * 1e6)}\\nExecMainStatus=0")
"""

JOURNALCTL = """#!/usr/bin/env python3
import json, sys
from pathlib import Path
here = Path(__file__).parent
name = "gate.log" if any("weights" in word for word in sys.argv) else "unit.log"
for line in (here / name).read_text().splitlines():
    print(json.dumps({"MESSAGE": line}))
"""


class Machine:
    """A machine with one service on it, and what the start program sees of it."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.state = directory / "state"
        self.options = directory / "vllm.yaml"
        self.options.write_text("port: 1\n")
        self.weights = directory / "weights"
        self.weights.mkdir()
        self.progress = directory / "progress.json"
        self.healthy = True
        # Options with this word in them do not come up.
        self.poison = "poison"
        self.url = ""
        self.say("unit", "")
        self.say("gate", "")
        self.set()

    def set(self, *, gate: str = "inactive", ends_after: int | None = None) -> None:
        state = {"active": "inactive", "sub": "dead", "invocation": "i", "gate": gate, "ends_after": ends_after}
        (self.bin / "unit.json").write_text(json.dumps({**state, "ready_s": None}))

    def ready(self, at_s: float) -> None:
        """Have let requests in, by the machine's own clock."""
        state = json.loads((self.bin / "unit.json").read_text())
        (self.bin / "unit.json").write_text(json.dumps({**state, "ready_s": at_s}))

    def say(self, who: str, text: str) -> None:
        (self.bin / f"{who}.log").write_text(text)

    def calls(self, verb: str) -> int:
        return sum(line.startswith(f"{verb} ") for line in (self.bin / "calls").read_text().splitlines())

    def start(self, *more: str, timeout_s: float = 10) -> "subprocess.CompletedProcess[str]":
        return run(
            "start", *more, "--unit=nodestack-vllm.service", "--gate=nodestack-weights.service", f"--server={self.url}",
            f"--timeout-s={timeout_s}", f"--made-from={self.options}", f"--made-from={self.weights}",
            '--result={"version": "0.23.0", "build": "cpu", "options": {"port": 1}}',
            f"--state-directory={self.state}", f"--progress={self.progress}", PATH=f"{self.bin}:{os.environ['PATH']}",
        )  # fmt: skip

    def former(self, what: str, *arguments: object) -> dict[str, Any]:
        """Keep what runs, or return to it; return what is printed."""
        ended = run(
            "former", what, *arguments, f"--state-directory={self.state}", f"--progress={self.progress}",
            PATH=f"{self.bin}:{os.environ['PATH']}",
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        content: dict[str, Any] = json.loads(ended.stdout)
        return content

    def result(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.state / "results" / "engine.json").read_text())
        return content


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if one.healthy and one.poison not in one.options.read_text() else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        one.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield one
        server.shutdown()
        thread.join()
