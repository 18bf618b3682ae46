"""A stack's file: what stands under `config` in it, before any of that is checked."""

from typing import Any

import yaml

from nodestack.errors import SettingsError


def config_in(text: str | bytes, shown: str) -> dict[str, Any]:
    """Return what a stack's file says, by key; empty where it says nothing.

    Args:
        text: The file's.
        shown: What to call it.

    Raises:
        SettingsError: It is no stack's file.
    """
    try:
        return dict((yaml.safe_load(text) or {}).get("config") or {})
    except (yaml.YAMLError, AttributeError, ValueError, TypeError) as error:
        raise SettingsError(f"{shown} is no stack's file: {' '.join(str(error).split())}") from None
