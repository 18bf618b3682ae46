"""The command line as a user has it: a process of its own, in a directory; or, many times faster, in this process."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from nodestack.cli import main

ROOT = Path(__file__).resolve().parents[2]
THINKING = ("--model", "trinity-large-thinking")


def nodestack(*arguments: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command and return what became of it."""
    command = [sys.executable, "-m", "nodestack.cli", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def inside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process and return what became of it."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
