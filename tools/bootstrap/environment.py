"""The checkout's Python environment, `.venv`: exactly what the lock says, made by uv."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from bootstrap import commands
from bootstrap.checkout import Checkout, SetupError, cached, digest
from bootstrap.processes import Argv, Processes
from bootstrap.releases import at_least, parse

LOCK = "requirements-dev.txt"


def key(checkout: Checkout) -> str:
    """Return what an environment is made from, as one digest."""
    return digest(checkout.root / LOCK, Path(__file__), str(checkout.root), sys.executable, sys.version)


def uv(checkout: Checkout, processes: Processes) -> Path:
    """Return a uv: the one on PATH if it is new enough, else the pinned one from the cache.

    Raises:
        SetupError: It could not be fetched, or this Python cannot make virtual environments.
    """
    found = shutil.which("uv")
    if found:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if at_least(parse(said), checkout.versions["uv"]["minimum"]):
            return Path(found)
    needed = commands.missing(checkout, "uv")
    if needed:
        commands.install(needed, processes)
    lock = checkout.tools / "uv.txt"

    def _fetch(directory: Path) -> None:
        venv.create(directory / "pip", with_pip=True)
        pip: Argv = [directory / "pip" / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        install: Argv = [*pip, "--require-hashes", "--no-deps", "--target", directory / "uv", "-r", lock]
        processes.fetch("uv", install)
        shutil.rmtree(directory / "pip")

    return cached("uv", digest(lock, sys.version), _fetch) / "uv" / "bin" / "uv"


def make(checkout: Checkout, processes: Processes, uv_program: Path) -> None:
    """Make or correct the environment: the lock's packages and no others, compiled, and our own package on its path.

    Raises:
        SetupError: uv failed.
    """
    home = checkout.root / ".venv"
    made_by = home / "pyvenv.cfg"
    wanted = f"version_info = {sys.version.split()[0]}"
    if not checkout.python.exists() or wanted not in made_by.read_text():
        processes.run("venv", [uv_program, "venv", "--clear", "--python", sys.executable, home])
    # Compiled now, because importing what is not costs seconds in every process where nothing may write beside it.
    sync: Argv = [uv_program, "pip", "sync", "--require-hashes", "--compile-bytecode", "--python", checkout.python]
    processes.fetch("venv", [*sync, checkout.root / LOCK])
    _put_our_package_on_its_path(checkout, home)


def _put_our_package_on_its_path(checkout: Checkout, home: Path) -> None:
    packages = list(home.glob("lib/python3.*/site-packages"))
    if len(packages) != 1:
        raise SetupError(f"{home} has {len(packages)} package directories instead of one: delete it and run this again")
    (packages[0] / "nodestack.pth").write_text(f"{checkout.root / 'infra'}\n")
    command = home / "bin" / "nodestack"
    command.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m nodestack.cli "$@"\n')
    command.chmod(0o755)
