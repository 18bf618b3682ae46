"""States here and elsewhere: found where PULUMI_BACKEND_URL says, and copied before they are changed."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from nodestack.automation import backend, engine, stack
from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine
from tests.plugin.engine import ROOT

CLOUD = {"nodestack:cloud": {"kind": "spheron"}}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    found = Checkout(tmp_path / "a checkout")
    found.state.mkdir(parents=True)
    if (ROOT / ".nodestack" / "engine.json").exists():
        shutil.copy(ROOT / ".nodestack" / "engine.json", found.state)
    project = {"name": "nodestack", "stackConfigDir": "stacks"}
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (found.root / "Pulumi.yaml").write_text(yaml.safe_dump(project | {"runtime": runtime}))
    (found.root / "stacks").mkdir()
    found.stack_file("dev").write_text(yaml.safe_dump({"config": CLOUD}))
    return found


def state(checkout: Checkout, text: str) -> None:
    path = checkout.checkpoint("dev")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_state_is_copied_before_each_change_and_the_oldest_copies_go(checkout: Checkout) -> None:
    assert backend.keep_copy(checkout, "dev") is None
    for number in range(35):
        state(checkout, f'{{"number": {number}}}')
        copy = backend.keep_copy(checkout, "dev")
        assert copy is not None and copy == backend.keep_copy(checkout, "dev"), "what did not change is kept once"
    kept = sorted((checkout.state / "backups" / "dev").iterdir())
    assert [path.read_text() for path in kept] == [f'{{"number": {number}}}' for number in range(5, 35)]
    assert kept[0].parent.stat().st_mode & 0o777 == 0o700


def test_up_and_down_copy_the_state_first(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[str] = []

    def stream(self: Engine, *arguments: str) -> int:
        copies.extend(path.read_text() for path in (checkout.state / "backups" / "dev").iterdir())
        state(checkout, f"after {arguments[0]}")
        return 0

    monkeypatch.setattr(Engine, "stream", stream)
    state(checkout, "before")
    stack.up(checkout, "dev", yes=True)
    stack.down(checkout, "dev", yes=True)
    assert copies[:1] == ["before"] and set(copies[1:]) == {"before", "after up"}


@pytest.mark.parametrize(
    "url",
    ["s3://states?region=eu-north-1&endpoint=minio.example.com:9000&s3ForcePathStyle=true", "https://api.pulumi.com"],
)
def test_what_the_user_says_of_backend_and_secrets_is_the_engines(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    if not (checkout.state / "engine.json").exists():
        pytest.skip("no engine is set up here")
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "my own")
    given = engine.exports(checkout.root)
    assert given["PULUMI_BACKEND_URL"] == url
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in given
    assert not backend.is_own(checkout)
    state(checkout, "an old one of this checkout")
    assert backend.keep_copy(checkout, "dev") is None, "such a backend keeps its own versions"


def test_who_encrypts_secrets_is_said_at_the_stacks_beginning(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []

    def ask(self: Engine, *arguments: str, **_: object) -> str:
        told.append(list(arguments))
        return ""

    monkeypatch.setattr(Engine, "ask", ask)
    provider = "awskms://alias/nodestack?region=eu-north-1"
    checkout.stack_file("dev").write_text(yaml.safe_dump({"secretsprovider": provider, "config": CLOUD}))
    stack.prepare(checkout, "dev")
    assert told[0] == ["stack", "init", "--secrets-provider", provider]
    checkout.stack_file("dev").write_text(yaml.safe_dump({"config": CLOUD}))
    told.clear()
    stack.prepare(checkout, "dev")
    assert told[0] == ["stack", "init"]


@pytest.mark.e2e
def test_a_stack_whose_state_is_elsewhere_is_found_there_and_made_once(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'elsewhere'}")
    assert not backend.exists(checkout, "dev")
    assert backend.latest(checkout, "dev") == {}
    for _ in range(2):
        stack.prepare(checkout, "dev")
        assert backend.exists(checkout, "dev")
    assert not backend.exists(checkout, "de")
    assert not checkout.checkpoint("dev").exists()
    assert "manifest" in backend.latest(checkout, "dev")
    assert stack.outputs(checkout, "dev") == {}
