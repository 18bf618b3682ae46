from pathlib import Path

import pytest
import yaml

from nodestack.automation import stack
from nodestack.automation.checkout import Checkout, find
from nodestack.errors import NodestackError, RecoveryError

COMMIT, DIGEST = "a" * 40, "d" * 64


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "stacks" / "templates").mkdir(parents=True)
    (tmp_path / "stacks" / "templates" / "local.yaml").write_text("config: {}\n")
    return Checkout(tmp_path)


def test_a_stack_without_file_or_template_is_refused_with_the_known_ones(checkout: Checkout) -> None:
    with pytest.raises(NodestackError, match=r"there is no stack 'prod': no Pulumi.prod.yaml; known: local"):
        stack.prepare(checkout, "prod")


def test_a_missing_passphrase_of_a_stack_with_secrets_is_refused_and_nothing_is_made(checkout: Checkout) -> None:
    checkout.stack_file("local").write_text("encryptionsalt: v1:abc\nconfig: {}\n")
    with pytest.raises(RecoveryError, match="the passphrase of stack local is missing: put it back into"):
        stack.prepare(checkout, "local")
    assert not checkout.state.exists()


def test_a_checkout_is_found_from_below_it(checkout: Checkout) -> None:
    (checkout.root / "Pulumi.yaml").write_text("name: nodestack\n")
    assert find(checkout.root / "stacks") == checkout


class Recorded:
    """An engine that is only told to set something."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def __call__(self, checkout: Checkout, stack: str) -> "Recorded":
        return self

    def ask(self, *arguments: str) -> str:
        self.told.append(arguments)
        return ""


@pytest.mark.parametrize(
    ("model", "outputs", "told"),
    [
        ({"name": "tiny"}, {"model_commit": COMMIT, "manifest_sha256": DIGEST}, True),
        ({"manifests": {"b" * 40: DIGEST}}, {"model_commit": COMMIT, "manifest_sha256": DIGEST}, True),
        ({"manifests": {COMMIT: DIGEST}}, {"model_commit": COMMIT, "manifest_sha256": DIGEST}, False),
        ({}, {"model_commit": "", "manifest_sha256": ""}, False),
        ({}, {}, False),
    ],
)
def test_the_digest_that_was_verified_is_written_to_the_stacks_settings_once(
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    model: dict[str, object],
    outputs: dict[str, str],
    told: bool,
) -> None:
    engine = Recorded()
    monkeypatch.setattr(stack, "Engine", engine)
    monkeypatch.setattr(stack, "outputs", lambda checkout, name: outputs)
    checkout.stack_file("local").write_text(yaml.safe_dump({"config": {"nodestack:model": model}}))

    assert stack.record_manifest(checkout, "local") == (COMMIT if told else "")
    path = f'nodestack:model.manifests["{COMMIT}"]'
    assert engine.told == ([("config", "set", "--path", path, DIGEST)] if told else [])
