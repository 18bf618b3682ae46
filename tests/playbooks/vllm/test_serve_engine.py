"""The launcher hands the key to vLLM without showing it; here to a stand-in package that tells what it was given."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.playbooks.vllm.conftest import PROGRAMS, environment

KEY = "sk-only-the-clients-know"

MAIN = """
import sys
from vllm.entrypoints.cli import serve
class Options: api_key = None
def main():
    options = Options()
    command = serve.ServeSubcommand()
    dispatch = command.cmd
    dispatch(options)
"""
SERVE = """
import os, sys
class ServeSubcommand:
    @staticmethod
    def cmd(options):
        print("argv", sys.argv)
        print("environment", sorted(os.environ.items()), open("/proc/self/environ").read())
        print("logged", {"api_key": options.api_key})
        print("taken", [len(key) for key in options.api_key], isinstance(options.api_key, list))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    package = tmp_path / "engine" / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(MAIN)
    (package / "serve.py").write_text(SERVE)
    return tmp_path / "engine"


def launch(engine: Path, credentials: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROGRAMS / "serve_engine.py"), *arguments, "/weights", "--config", "/vllm.yaml"]
    more = environment(PYTHONPATH=str(engine), CREDENTIALS_DIRECTORY=str(credentials))
    return subprocess.run(command, env=more, capture_output=True, text=True, check=False)


def test_the_engine_gets_the_key_and_shows_it_nowhere(engine: Path, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text(KEY + "\n")
    said = launch(engine, tmp_path)
    assert said.returncode == 0, said.stderr
    assert "argv ['vllm', 'serve', '/weights', '--config', '/vllm.yaml']" in said.stdout
    assert "logged {'api_key': ['***']}" in said.stdout
    assert f"taken [{len(KEY)}] True" in said.stdout
    assert KEY not in said.stdout + said.stderr


def test_a_missing_and_an_empty_key_end_it_before_the_engine_is_loaded(engine: Path, tmp_path: Path) -> None:
    missing = launch(engine, tmp_path)
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (1, "", 1)
    assert "credential api_key with the API key cannot be read" in missing.stderr
    (tmp_path / "api_key").write_text("\n")
    assert "is empty: the server would take requests without a key" in launch(engine, tmp_path).stderr


def test_a_check_needs_no_key_and_serves_nothing(engine: Path, tmp_path: Path) -> None:
    checked = launch(engine, tmp_path, "--check")
    assert (checked.returncode, checked.stdout) == (0, "")
