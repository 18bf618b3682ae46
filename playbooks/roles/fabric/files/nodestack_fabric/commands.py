"""Runs the commands whose answers are judged."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

from nodestack_fabric import NotUnderstood

TIMEOUT_S = 120


class Run(Protocol):
    """Returns what a command prints, or raises NotUnderstood."""

    def __call__(self, *command: str, answers: tuple[int, ...] | None = (0,), timeout_s: int = TIMEOUT_S) -> str:
        """Run it; it may end with any of the answers, or in any way where there are none."""


class Find(Protocol):
    """Returns where a program is, or None."""

    def __call__(self, program: str, places: Sequence[str]) -> str | None:
        """Look for it on the path and in these directories."""


def run(*command: str, answers: tuple[int, ...] | None = (0,), timeout_s: int = TIMEOUT_S) -> str:
    """Return what a command prints, in the C locale.

    Raises:
        NotUnderstood: It is missing, hangs, ends otherwise than it may, or complains and ends with more than 0.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        ended = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=timeout_s, errors="replace", env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotUnderstood(f"{command[0]}: {error}") from error
    return answer(command, answers, ended.returncode, ended.stdout, ended.stderr)


def answer(
    command: Sequence[str], answers: tuple[int, ...] | None, exit_code: int, printed: str, complaint: str
) -> str:
    """Return what a command that has ended is taken to say.

    Raises:
        NotUnderstood: It ended otherwise than it may, or complained and ended with more than 0.
    """
    if answers is None:
        return printed or complaint
    if exit_code not in answers or (exit_code and complaint.strip()):
        said = " ".join((printed + complaint).split())
        raise NotUnderstood(f"{' '.join(command[:2])} ended with {exit_code}: {said[:300] or 'no output'}")
    return printed


def find(program: str, places: Sequence[str]) -> str | None:
    """Return where a program is: on the path, or in one of these directories; None where it is nowhere."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(places))
