"""The engine gets the checkout's own backend and secrets, unless the user has said otherwise."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nodestack.automation import engine
from nodestack.errors import NodestackError

OURS = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_CONFIG_PASSPHRASE")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "a checkout"
    together = root / ".nodestack" / "engine" / "bin"
    together.mkdir(parents=True)
    (together / "pulumi").touch()
    (root / "Pulumi.yaml").touch()
    record = {"way": "built", "pulumi": f"{together}/pulumi", "directory": str(together), "reason": "r", "key": "k"}
    (root / ".nodestack" / "engine.json").write_text(json.dumps(record))
    return root


def test_engine_host_and_environment_come_first_on_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    together = checkout / ".nodestack" / "engine" / "bin"
    assert engine.exports(checkout)["PATH"] == f"{together}:{checkout}/.venv/bin:/usr/bin:/bin"
    assert engine.pulumi_binary(checkout) == together / "pulumi"


def test_asking_twice_does_not_lengthen_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = engine.exports(checkout)["PATH"]
    monkeypatch.setenv("PATH", once)
    assert engine.exports(checkout)["PATH"] == once


def test_state_and_secrets_stay_in_the_checkout(checkout: Path) -> None:
    given = engine.environment(checkout)
    state = checkout / ".nodestack"
    assert given["PULUMI_BACKEND_URL"] == f"file://{state}/backend"
    assert given["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{state}/passphrase"
    assert given["PULUMI_HOME"] == f"{state}/pulumi"
    assert (state / "backend").is_dir()


def test_a_backend_and_passphrase_of_the_users_own_are_kept(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://ours")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    given = engine.environment(checkout)
    assert given["PULUMI_BACKEND_URL"] == "s3://ours"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in given
    assert "PULUMI_CONFIG_PASSPHRASE" not in engine.exports(checkout)


@pytest.mark.parametrize("broken", ["", "{}", '{"way": "stolen"}'])
def test_without_a_record_the_user_is_told_what_to_run(checkout: Path, broken: str) -> None:
    (checkout / ".nodestack" / "engine.json").write_text(broken)
    with pytest.raises(NodestackError, match=r"no Pulumi engine is set up in .*: run `make setup`"):
        engine.pulumi_binary(checkout)


def test_an_engine_that_has_gone_is_said_to_have_gone(checkout: Path) -> None:
    engine.pulumi_binary(checkout).unlink()
    with pytest.raises(NodestackError, match="has gone from"):
        engine.environment(checkout)


def test_a_shell_that_evaluates_the_exports_has_them_whatever_the_path(checkout: Path) -> None:
    module = [sys.executable, "-m", "nodestack.automation.engine"]
    printed = f'eval "$({shlex.join(module)})" && printf \'%s\' "$PULUMI_BACKEND_URL"'
    infra = Path(engine.__file__).parents[2]
    said = subprocess.run(
        ["sh", "-c", printed], cwd=checkout, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(infra)}
    )
    assert said.stdout == f"file://{checkout}/.nodestack/backend"
