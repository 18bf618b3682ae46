"""The language runtime the engine talks to: runs Python programs, provider plugins and policy packs."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from language_host.children import Child, Children

# A program exits with this after it has told the user what is wrong.
EXIT_AFTER_MESSAGE = 32
DRAIN_S = 1.0
LIST_PACKAGES = (
    "import importlib.metadata as m, json;"
    "print(json.dumps(sorted((d.metadata['Name'], d.version) for d in m.distributions())))"
)


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Serves one engine.

    Args:
        engine_address: Where programs report to, as host:port; a handshake may correct it.
        program_runner: The script that connects a program to the engine and runs it.
        children: Starts and ends the processes.
    """

    def __init__(self, engine_address: str, program_runner: Path, children: Children) -> None:
        self._engine_address = engine_address
        self._program_runner = program_runner
        self._children = children
        self._lock = threading.Lock()
        self._program: Child | None = None

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Learn the engine's address."""
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Tell the version of the protocol's SDK."""
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Ask for nothing: a project names its plugins by their folders."""
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        """Ask for nothing, as above, in the words of older engines."""
        return language_pb2.GetRequiredPluginsResponse()

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        """Tell which interpreter runs the program."""
        python = _interpreter(request.info, context)
        said = subprocess.run([python, "--version"], capture_output=True, text=True, check=False).stdout
        return language_pb2.AboutResponse(executable=str(python), version=said.removeprefix("Python ").strip())

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """List the packages installed beside the program's interpreter."""
        python = _interpreter(request.info, context)
        listed = subprocess.run([python, "-c", LIST_PACKAGES], capture_output=True, text=True, check=False).stdout
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=number) for name, number in json.loads(listed or "[]")
            ]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Install nothing, and say who does."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"Dependencies are installed by `make setup`.\n")

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run a program to its end."""
        python = _interpreter(request.info, context)
        child = self._children.start(
            _program_argv(python, self._program_runner, self._engine_address, request),
            cwd=Path(request.info.program_directory),
            environment={
                **_environment(python, ()),
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            },
        )
        with self._lock:
            self._program = child
        self._end_with_the_call(child, context)
        code = child.wait()
        self._children.forget(child)
        if code == EXIT_AFTER_MESSAGE or child.was_ended:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {code}" if code else "")

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a plugin or a policy pack from its folder, passing on its output as it comes, then its exit code."""
        python = _interpreter(request.info, context)
        child = self._children.start(
            _plugin_argv(python, request),
            cwd=Path(request.pwd),
            environment=_environment(python, request.env),
            take_output=True,
        )
        self._end_with_the_call(child, context)
        yield from _output(child)
        code = child.wait()
        self._children.forget(child)
        yield language_pb2.RunPluginResponse(exitcode=code)

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        """End the program; plugins go on, for they were asked themselves and may still report what they created."""
        with self._lock:
            program = self._program
        if program is not None:
            program.end()
        return Empty()

    def _end_with_the_call(self, child: Child, context: grpc.ServicerContext) -> None:
        # The engine ends a program or a plugin by cancelling the call that runs it.
        if not context.add_callback(child.end):
            child.end()


def _interpreter(program: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> Path:
    options = program.options.fields
    if "virtualenv" not in options:
        _refuse(
            context, f"{program.root_directory}: runtime.options.virtualenv is missing: name the environment to use"
        )
    python = Path(program.root_directory, options["virtualenv"].string_value, "bin", "python")
    if not python.exists():
        _refuse(context, f"there is no interpreter at {python}: run `make setup`")
    return python


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
    raise AssertionError("abort raises")


def _environment(python: Path, additional: Iterable[str]) -> dict[str, str]:
    environment = dict(os.environ)
    environment.update(entry.split("=", 1) for entry in additional if "=" in entry)  # type: ignore[misc]
    environment["VIRTUAL_ENV"] = str(python.parent.parent)
    environment["PATH"] = os.pathsep.join((str(python.parent), environment.get("PATH", os.defpath)))
    environment.pop("PYTHONHOME", None)
    return environment


def _program_argv(python: Path, runner: Path, engine_address: str, request: language_pb2.RunRequest) -> list[str]:
    options = {
        "--monitor": request.monitor_address,
        "--engine": engine_address,
        "--project": request.project,
        "--stack": request.stack,
        "--organization": request.organization,
        "--root_directory": request.info.root_directory,
        "--pwd": request.pwd,
        "--dry_run": "true" if request.dryRun else "",
        "--parallel": str(request.parallel),
    }
    given = [part for option, value in options.items() if value for part in (option, value)]
    return [str(python), "-u", str(runner), *given, request.info.entry_point, *request.args]


def _plugin_argv(python: Path, request: language_pb2.RunPluginRequest) -> list[str]:
    folder = request.info.program_directory
    if request.kind == "analyzer":
        return [str(python), "-u", "-m", "pulumi.policy", *request.args, folder]
    return [str(python), "-u", folder, *request.args]


def _output(child: Child) -> Iterator[language_pb2.RunPluginResponse]:
    """Yield both streams' lines as they come, until the process has ended."""
    lines: queue.Queue[language_pb2.RunPluginResponse | None] = queue.Queue()

    def _read(stream: IO[bytes], wrap: Callable[[bytes], language_pb2.RunPluginResponse]) -> None:
        for line in stream:
            lines.put(wrap(line))

    readers = [
        threading.Thread(target=_read, args=(stream, wrap), daemon=True)
        for stream, wrap in (
            (child.stdout, lambda line: language_pb2.RunPluginResponse(stdout=line)),
            (child.stderr, lambda line: language_pb2.RunPluginResponse(stderr=line)),
        )
    ]

    def _wait() -> None:
        child.wait()
        for reader in readers:
            # What the process started may hold its streams open for long.
            reader.join(DRAIN_S)
        lines.put(None)

    for thread in (*readers, threading.Thread(target=_wait, daemon=True)):
        thread.start()
    yield from iter(lines.get, None)
