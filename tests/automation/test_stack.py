from pathlib import Path

import pytest

from nodestack.automation import stack
from nodestack.automation.checkout import Checkout, find
from nodestack.errors import NodestackError, RecoveryError


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
