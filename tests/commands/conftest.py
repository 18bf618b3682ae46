"""A directory with our stacks to start from and nothing else of a checkout."""

import shutil
from pathlib import Path

import pytest

from tests.commands.runs import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have commands run in it; return it."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copytree(ROOT / "stacks" / "templates", tmp_path / "stacks" / "templates")
    monkeypatch.chdir(tmp_path)
    return tmp_path
