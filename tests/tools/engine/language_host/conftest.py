"""A language host as the engine starts one: by its script, with a parent, spoken to over gRPC."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "tools" / "engine" / "run_language_host.py"
LONG_S = 20.0


def running(pid: int) -> bool:
    """Tell whether a process is there and not merely unreaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(holds: Callable[[], bool], within_s: float = LONG_S) -> bool:
    """Wait until something holds, and tell whether it did in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@dataclass(frozen=True)
class Served:
    """A host that serves.

    Attributes:
        engine: The process that stands for the engine, its parent.
        pid: The host's own process.
        stub: Speaks to it.
        project: The folder of the program and the plugin.
        errors: Where the host's stderr goes.
    """

    engine: "subprocess.Popen[str]"
    pid: int
    stub: language_pb2_grpc.LanguageRuntimeStub
    project: Path
    errors: Path

    def info(self, virtualenv: str = sys.prefix) -> language_pb2.ProgramInfo:
        """Describe the project as the engine does."""
        info = language_pb2.ProgramInfo(
            root_directory=str(self.project), program_directory=str(self.project), entry_point="."
        )
        info.options.update({"virtualenv": virtualenv})
        return info

    def plugin(self) -> Any:
        """Run the project as a resource plugin; returns the call, which iterates over its answers."""
        return self.stub.RunPlugin(
            language_pb2.RunPluginRequest(
                pwd=str(self.project), args=["127.0.0.1:1"], env=["FROM_ENGINE=yes"], info=self.info(), kind="resource"
            )
        )

    def run(self) -> language_pb2.RunResponse:
        """Run the project as a program."""
        answer: language_pb2.RunResponse = self.stub.Run(self.run_request())
        return answer

    def run_request(self) -> language_pb2.RunRequest:
        """Ask for the project to be run as a program."""
        return language_pb2.RunRequest(
            project="p",
            stack="s",
            pwd=str(self.project),
            monitor_address="127.0.0.1:2",
            config={"p:key": "value"},
            configSecretKeys=["p:key"],
            dryRun=True,
            parallel=4,
            organization="o",
            info=self.info(),
        )

    def noted(self, name: str) -> str:
        """Wait for what the program or plugin noted in a file, and return it."""
        path = self.project / name
        assert eventually(lambda: path.exists() and path.read_text().endswith("\n")), f"{name} never came"
        return path.read_text().strip()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A host under a shell that stands for the engine; its program runner is what the test writes to `runner.py`."""
    project = tmp_path / "a project"
    project.mkdir()
    errors = tmp_path / "errors"
    start = '"$1" -u "$2" --engine-pid $$ --program-runner "$3" --some-flag 127.0.0.1:9 2>"$4" & echo $!; wait'
    command = ["sh", "-c", start, "engine", sys.executable, str(SCRIPT), str(project / "runner.py"), str(errors)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as engine:
        assert engine.stdout is not None
        pid, port = int(engine.stdout.readline()), int(engine.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(engine, pid, language_pb2_grpc.LanguageRuntimeStub(channel), project, errors)
        engine.kill()
        assert eventually(lambda: not running(pid))


def note_pid(name: str) -> str:
    """Python source that notes its process in a file, all at once."""
    return f"import os; open('{name}.new', 'w').write(f'{{os.getpid()}}\\n'); os.rename('{name}.new', '{name}')\n"
