"""A stack's file as it stands in a checkout."""

from collections.abc import Mapping
from typing import Any

from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.errors import SettingsError
from nodestack.stack_file import config_in, document_in


def document(checkout: Checkout, stack: str) -> dict[str, Any]:
    """Return all that a stack's own file says; `config` is a mapping in it.

    Raises:
        FileNotFoundError: There is none.
        SettingsError: It is no stack's file.
    """
    path = checkout.stack_file(stack)
    return document_in(path.read_bytes(), str(path.relative_to(checkout.root)))


def section(checkout: Checkout, stack: str, name: str) -> Mapping[str, Any]:
    """Return a section of a stack's file, or of its template, as it stands there; empty where it has none.

    Raises:
        SettingsError: There is neither file nor template, or it cannot be read.
    """
    path = checkout.source(stack)
    if path is None:
        raise SettingsError(f"--stack {stack}: there is neither {checkout.places(stack)}")
    shown = str(path.relative_to(checkout.root))
    found = config_in(path.read_bytes(), shown).get(f"{PROJECT}:{name}") or {}
    if not isinstance(found, Mapping):
        raise SettingsError(f"{shown}: {PROJECT}:{name} is {found!r}, it must be a mapping")
    return found
