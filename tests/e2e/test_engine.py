"""The real engine with the host it was set up with: runs programs and plugins, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodestack.automation import engine

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PROJECT = """
name: demo
runtime:
  name: python
  options: {{virtualenv: "{root}/.venv"}}
main: infra
plugins:
  providers: [{{name: tiny, path: provider}}]
"""
PLUGIN = 'runtime: {{name: python, options: {{virtualenv: "{root}/.venv"}}}}'
PROGRAM = """
import pulumi
class Thing(pulumi.CustomResource):
    def __init__(self, name): super().__init__("tiny:index:Thing", name, {"size": 1})
pulumi.export("id", Thing("thing").id)
"""
# Creates when the file `go on` appears; asked to stop, it takes a second and reports what it has made so far.
PROVIDER = """
import os, threading, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2 as p, provider_pb2_grpc, status_pb2

FOLDER, asked = os.path.dirname(os.path.abspath(__file__)), threading.Event()

class Provider(provider_pb2_grpc.ResourceProviderServicer):
    def Handshake(self, request, context): return p.ProviderHandshakeResponse(accept_outputs=True)
    def GetPluginInfo(self, request, context): return plugin_pb2.PluginInfo(version="0.0.1")
    def CheckConfig(self, request, context): return p.CheckResponse(inputs=request.news)
    def Configure(self, request, context): return p.ConfigureResponse(supportsPreview=True, acceptOutputs=True)
    def Check(self, request, context): return p.CheckResponse(inputs=request.news)
    def Diff(self, request, context): return p.DiffResponse(changes=p.DiffResponse.DIFF_NONE)
    def Delete(self, request, context): return empty_pb2.Empty()
    def Cancel(self, request, context): asked.set(); return empty_pb2.Empty()
    def Create(self, request, context):
        open(FOLDER + "/creating", "w").close()
        while not os.path.exists(FOLDER + "/go on"):
            if asked.wait(0.05): self.stop(request, context)
        return p.CreateResponse(id="made", properties=request.properties)
    def stop(self, request, context):
        time.sleep(1)
        failed = p.ErrorResourceInitFailed(id="half made", properties=request.properties, reasons=["stopped"])
        status = status_pb2.Status(code=2, message="stopped", details=[any_pb2.Any()])
        status.details[0].Pack(failed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, "stopped")

server = grpc.server(ThreadPoolExecutor(8))
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""


class Project:
    """A project of its own, with its own backend, driven by the checkout's engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {
            "Pulumi.yaml": PROJECT.format(root=ROOT),
            "infra/__main__.py": PROGRAM,
            "provider/PulumiPlugin.yaml": PLUGIN.format(root=ROOT),
            "provider/__main__.py": PROVIDER,
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        (folder / "backend").mkdir()
        self._environment = {
            **{name: text for name, text in engine.environment(ROOT).items() if not name.startswith("PULUMI_CONFIG_")},
            "PULUMI_BACKEND_URL": f"file://{folder}/backend",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "for this test alone",
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the engine."""
        return subprocess.Popen(
            [engine.pulumi_binary(ROOT), *arguments, "--stack", "s", "--non-interactive"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """Run the engine to its end and return what it said; it must succeed."""
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said

    def resource_ids(self) -> list[str]:
        """Return the ids of all resources in the state but the provider's."""
        state = json.loads(self.run("stack", "export"))["deployment"]
        return [entry["id"] for entry in state.get("resources", []) if entry["type"].startswith("tiny:")]

    def processes(self) -> list[str]:
        """Return the command lines of every process that has to do with this project."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cwd = os.readlink(directory / "cwd")
            except OSError:
                continue
            if str(self.folder) in line or cwd.startswith(str(self.folder)):
                found.append(line)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "a project")
    made.run("stack", "init")
    yield made
    assert _eventually(lambda: not made.processes()), made.processes()


def _eventually(holds: Callable[[], bool], within_s: float = 30) -> bool:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def _creating(project: Project) -> "subprocess.Popen[str]":
    process = project.start("up", "--yes", "--skip-preview")
    assert _eventually((project.folder / "provider" / "creating").exists)
    return process


def test_a_program_with_a_plugin_comes_up_once_and_then_changes_nothing(project: Project) -> None:
    (project.folder / "provider" / "go on").touch()
    assert "created" in project.run("up", "--yes")
    assert project.resource_ids() == ["made"]
    again = project.run("up", "--yes")
    assert "unchanged" in again
    assert "created" not in again
    assert "warning" not in again


def test_an_interrupted_engine_waits_for_the_plugin_and_keeps_what_it_had_made(project: Project) -> None:
    with _creating(project) as process:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert project.resource_ids() == ["half made"]


def test_an_engine_killed_outright_leaves_no_process(project: Project) -> None:
    with _creating(project) as process:
        assert len(project.processes()) >= len(("engine", "host", "program", "plugin"))
        process.kill()
    assert _eventually(lambda: not project.processes(), within_s=8), project.processes()
