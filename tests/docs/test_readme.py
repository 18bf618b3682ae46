"""The planner's commands in the README do what they are shown for; those that bring nodes up are run end to end."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = re.findall(r"^\.venv/bin/(nodestack .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)


def test_the_readme_shows_each_command_of_the_planner() -> None:
    assert {command.split()[1] for command in COMMANDS} == {"plan", "compare", "report", "config", "policies"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_says_something_and_ends_well(command: str, tmp_path: Path) -> None:
    words = shlex.split(command.replace("report.html", str(tmp_path / "report.html")))
    program = Path(sys.executable).with_name(words[0])
    run = subprocess.run([program, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
