"""A secret that stands in the clear is refused by name, wherever a stack is read, and is not told once more."""

from pathlib import Path
from typing import Any

import pytest

from nodestack.automation.checkout import Checkout
from nodestack.catalog import load
from nodestack.commands import declared
from nodestack.errors import SettingsError
from nodestack.settings import NAMESPACE
from nodestack.settings.defaults import SECRETS
from nodestack.settings.secrecy import require_encrypted, require_encrypted_in_file

ROOT = Path(__file__).resolve().parents[2]
CLEAR = "sk-in-the-clear-0123456789"
HIDDEN = {"secure": "v1:abc:def"}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_each_secret_in_the_clear_is_refused_with_what_to_do_and_not_told(name: str) -> None:
    key = f"{NAMESPACE}:{name}"
    with pytest.raises(
        SettingsError, match=f"{key} stands in the clear.*(make init|pulumi config set --secret)"
    ) as said:
        require_encrypted({key: CLEAR}, lambda _: False)
    assert CLEAR not in str(said.value)
    with pytest.raises(SettingsError, match=f"{key} stands in the clear") as said:
        require_encrypted_in_file({key: CLEAR})
    assert CLEAR not in str(said.value)


def test_what_is_encrypted_or_not_there_is_left_alone() -> None:
    require_encrypted({f"{NAMESPACE}:api_key": CLEAR, "other:api_key": CLEAR}, lambda key: key[:5] != "other")
    values: dict[str, Any] = {f"{NAMESPACE}:api_key": HIDDEN, f"{NAMESPACE}:hub_token": None, f"{NAMESPACE}:node": {}}
    require_encrypted_in_file({**values, f"{NAMESPACE}:api_keys": {"alice": HIDDEN}})


def test_of_several_keys_the_one_in_the_clear_is_named() -> None:
    keys = {f"{NAMESPACE}:api_keys": {"alice": HIDDEN, "bob": CLEAR}}
    with pytest.raises(SettingsError, match=r"nodestack:api_keys.bob stands.*--path 'nodestack:api_keys.bob'") as said:
        require_encrypted_in_file(keys)
    assert "alice" not in str(said.value)


def test_no_command_reads_a_stack_with_a_secret_in_the_clear() -> None:
    text = (ROOT / "stacks" / "templates" / "production.yaml").read_text(encoding="utf-8")
    with pytest.raises(SettingsError, match="nodestack:api_key stands in the clear"):
        declared.of_text("x", f"{text}  nodestack:api_key: {CLEAR}\n", ROOT, load())
    assert declared.read(Checkout(ROOT), "production", load()).plan.fits
