"""The floor of what is measured of the engine: a program that declares nothing, with stack and backend of its own."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from nodestack.automation.engine import environment, pulumi_binary

STACK = "floor"
PROGRAM = """name: empty
runtime:
  name: python
  options:
    virtualenv: {virtualenv}
"""


def scratch_environment(scratch: Path, root: Path) -> dict[str, str]:
    """Return the engine's environment with a backend below `scratch` and a passphrase that protects nothing.

    Args:
        scratch: Directory that is removed afterwards.
        root: The checkout whose engine is used.
    """
    (scratch / "backend").mkdir(exist_ok=True)
    inherited = {name: value for name, value in environment(root).items() if name != "PULUMI_CONFIG_PASSPHRASE_FILE"}
    return inherited | {"PULUMI_BACKEND_URL": f"file://{scratch / 'backend'}", "PULUMI_CONFIG_PASSPHRASE": "none"}


def empty_project(scratch: Path, root: Path) -> tuple[Path, dict[str, str]]:
    """Make the project and its stack; return its directory and the engine's environment."""
    environ = scratch_environment(scratch, root)
    project = scratch / "empty"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(PROGRAM.format(virtualenv=root / ".venv"), encoding="utf-8")
    (project / "__main__.py").write_text("", encoding="utf-8")
    subprocess.run(
        [str(pulumi_binary(root)), "stack", "init", STACK], cwd=project, env=environ, check=True, capture_output=True
    )
    return project, environ


def seconds_of(command: Sequence[str], directory: Path, environ: dict[str, str]) -> float:
    """Run a command and return its wall time; raises CalledProcessError when it fails."""
    started = time.monotonic()
    subprocess.run(command, cwd=directory, env=environ, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - started
