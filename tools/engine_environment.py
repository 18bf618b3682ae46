"""Python environments with the real vLLM, built for CPUs: one a version, in the shared cache, made where it is missing.

engine_environment.py 0.32.0     prints the interpreter; what it is doing goes to stderr
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.version import Version

from nodestack.clouds.local import wheels
from nodestack.clouds.local.cache import cache_root
from nodestack.errors import NodestackError

TOOLS = Path(__file__).resolve().parent
ROLE = TOOLS.parent / "playbooks" / "roles" / "vllm" / "files"
LOCKS = (ROLE, TOOLS / "engine_locks")


class EngineEnvironmentError(NodestackError):
    """There is no such environment and none could be made."""


def main(arguments: list[str]) -> int:
    """Print the interpreter of one version's environment; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", choices=versions())
    try:
        print(environment(parser.parse_args(arguments).version))
    except NodestackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def environment(version: str) -> Path:
    """Return the interpreter of an environment that imports this vLLM; installs it first where that was not done.

    The environment is in the shared cache under its lock's digest and takes about 5 GB; whoever asks while it is
    being made waits.

    Args:
        version: vLLM version that has a lock, e.g. "0.23.0".

    Raises:
        EngineEnvironmentError: No lock is of this version, or the installer failed; says what it said.
        CloudError: The wheels that local nodes are given could not be fetched.

    >>> environment("0.23.0")  # doctest: +SKIP
    PosixPath('/home/you/.cache/nodestack/engine-environment/vllm-0.23.0-cpu-5b557828/bin/python')
    """
    lock = _lock(version)
    root = cache_root() / "engine-environment"
    words: list[str | Path] = ["--root", root, "--version", version, "--build", "cpu", "--lock", lock]
    words += ["--uv-lock", ROLE / "requirements-uv.txt", "--progress", root / f"{version}.progress"]
    if not any(root.glob(f"vllm-{version}-cpu-*/nodestack-engine.json")):
        print(f"vLLM {version} for CPUs is installed to {root}: about 5 GB, minutes", file=sys.stderr, flush=True)
    if lock in wheels.lock_files():
        words += ["--find-links", wheels.directory(f"{sys.version_info[0]}.{sys.version_info[1]}")]
    with tempfile.TemporaryDirectory(prefix="nodestack-no-additions-") as nothing:
        # The role's plugin mends the version that nodes run; others need the name only that any additions bring along.
        words += ["--additions", ROLE / "cpu" if lock.parent == ROLE else nothing]
        return Path(_install(words), "bin", "python")


def versions() -> list[str]:
    """Return the versions that have a lock, oldest first."""
    found = (path.stem for directory in LOCKS for path in directory.glob("requirements-*-cpu.txt"))
    return sorted((stem.split("-")[1] for stem in found), key=Version)


def _lock(version: str) -> Path:
    for directory in LOCKS:
        lock = directory / f"requirements-{version}-cpu.txt"
        if lock.exists():
            return lock
    raise EngineEnvironmentError(f"vLLM {version} has no lock, known are: {', '.join(versions())}")


def _install(words: list[str | Path]) -> str:
    """Run the role's installer; return the environment's directory."""
    command = [sys.executable, "-m", "nodestack_vllm.install", *map(str, words)]
    variables = {**os.environ, "PYTHONPATH": str(ROLE)}
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise EngineEnvironmentError(f"the engine's environment was not made: {run.stderr.strip()}")
    engine = json.loads(run.stdout)["engine"]
    return str(engine)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
