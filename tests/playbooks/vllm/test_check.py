"""Options are judged by the engine's own parser, here a stand-in that refuses what it is told to."""

import getpass
import subprocess
import sys
from pathlib import Path

import pytest

from tests.playbooks.vllm.conftest import run

LAUNCHER = """
import os, sys
from pathlib import Path
Path(os.environ["ASKED"]).open("a").write("once ")
options = Path(sys.argv[-1]).read_text()
if "wrong" in options:
    sys.exit("WARNING: noise\\nvllm serve: error: argument --wrong: 1 validation error\\n  only for others\\n  more")
"""


class Check:
    def __init__(self, directory: Path) -> None:
        self.engine = directory / "engine"
        (self.engine / "bin").mkdir(parents=True)
        (self.engine / "bin" / "python").symlink_to(sys.executable)
        self.launcher = directory / "serve-engine"
        self.launcher.write_text(LAUNCHER)
        self.options = directory / "options.yaml"
        self.asked = directory / "asked"

    def __call__(self, options: str) -> "subprocess.CompletedProcess[str]":
        self.options.write_text(options)
        return run(
            "check", f"--engine={self.engine}", f"--launcher={self.launcher}", f"--user={getpass.getuser()}",
            f"--environment=ASKED={self.asked}", self.options,
        )  # fmt: skip


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return Check(tmp_path)


def test_what_was_taken_once_is_not_asked_again(check: Check) -> None:
    assert [check("port: 1").returncode, check("port: 1").returncode] == [0, 0]
    assert check.asked.read_text() == "once "
    assert check("port: 2").returncode == 0
    assert check.asked.read_text() == "once once "


def test_a_refusal_is_one_line_and_is_never_remembered(check: Check) -> None:
    for _ in range(2):
        refused = check("wrong: 1")
        assert refused.returncode == 1
        assert refused.stderr == "argument --wrong: 1 validation error only for others\n"
    assert check.asked.read_text() == "once once "
