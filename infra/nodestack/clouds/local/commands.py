"""The one place where the local cloud starts programs of the host."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from nodestack.errors import CloudError


def run(
    argv: Sequence[str],
    *,
    doing: str,
    text_in: str = "",
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        argv: Program and arguments; no shell takes part.
        doing: What it is for, opens the error.
        text_in: Its standard input.
        cwd: Where it runs.

    Raises:
        CloudError: It is missing or failed; names the program and the last line it printed.
    """
    try:
        # Arguments come from our own code and validated requests, and no shell reads them.
        ended = subprocess.run(
            list(argv),
            input=text_in,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
        )
    except FileNotFoundError as missing:
        raise CloudError(f"{doing}: {argv[0]} is not installed") from missing
    if ended.returncode != 0:
        lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        last = lines[-1] if lines else "it said nothing"
        raise CloudError(f"{doing}: {argv[0]} ended with {ended.returncode}: {last}")
    return ended.stdout


def start(
    argv: Sequence[str],
    *,
    log: IO[bytes],
    environment: Mapping[str, str],
    keep: int,
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside us, its output going to a log and `keep` being inherited."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        pass_fds=(keep,),
    )
