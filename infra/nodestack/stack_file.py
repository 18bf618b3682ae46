"""A stack's file: what stands in it, before any of that is checked."""

from typing import Any

import yaml

from nodestack.errors import SettingsError


def document_in(text: str | bytes, shown: str) -> dict[str, Any]:
    """Return all that a stack's file says; `config` is a mapping in it, empty where it says nothing.

    Args:
        text: The file's.
        shown: What to call it.

    Raises:
        SettingsError: It is no stack's file.
    """
    try:
        document = dict(yaml.safe_load(text) or {})
        return document | {"config": dict(document.get("config") or {})}
    except (yaml.YAMLError, AttributeError, ValueError, TypeError) as error:
        raise SettingsError(f"{shown} is no stack's file: {' '.join(str(error).split())}") from None


def config_in(text: str | bytes, shown: str) -> dict[str, Any]:
    """Return what a stack's file says under `config`, by key; raises as `document_in`."""
    return dict(document_in(text, shown)["config"])
