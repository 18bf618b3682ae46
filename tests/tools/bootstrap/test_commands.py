"""What the distribution must bring: found, installed by root, or asked for in one sentence."""

import os
from pathlib import Path

import pytest

from bootstrap import commands
from bootstrap.checkout import Checkout, SetupError
from bootstrap.processes import Processes
from tests.tools.bootstrap.conftest import program


def test_only_what_is_not_there_is_missing(checkout: Checkout) -> None:
    assert commands.missing(checkout, "local", lambda evidence: evidence == "mmdebstrap") == ["slirp4netns"]
    assert commands.missing(checkout, "venv") == []


def test_whoever_is_not_root_is_told_the_command(
    tmp_path: Path, checkout: Checkout, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "apt-get", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=r"only root may install: run `sudo apt-get install --yes .* mmdebstrap`"):
        commands.install(["mmdebstrap"], processes)


def test_root_installs_after_renewing_the_lists(
    tmp_path: Path, checkout: Checkout, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "apt-get", f'echo "$1" >>"{tmp_path}/asked"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    commands.install(["mmdebstrap"], processes)
    assert (tmp_path / "asked").read_text().split() == ["update", "install"]
