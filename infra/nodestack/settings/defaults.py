"""What all stacks of a project share: stacks/defaults.yaml holds where a stack says nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodestack.errors import SettingsError
from nodestack.stack_file import config_in

DEFAULTS = Path("stacks", "defaults.yaml")
SECRETS = frozenset({"api_key", "api_keys", "ssh_private_key", "hub_token", "alert_secret"})
GENERATED = ("api_key", "ssh_private_key")
"""Those that `make init` makes."""
NOT_SHARED = SECRETS | {"cloud"}
"""What each stack says itself: what it keeps secret, and where it lives."""


def with_defaults(values: Mapping[str, Any], directory: Path, namespace: str = "nodestack") -> dict[str, Any]:
    """Return a stack's values, with those keys of each section that only the project's defaults say.

    Args:
        values: By section, as a stack's file has them.
        directory: Directory of Pulumi.yaml; without stacks/defaults.yaml in it, values are returned as they are.
        namespace: What the keys of sections start with.

    Raises:
        SettingsError: The file is no stack's file, or says what may not be shared.
    """
    merged = dict(values)
    for section, shared in _read(directory / DEFAULTS, f"{namespace}:").items():
        own = merged.get(section, {})
        if isinstance(own, Mapping):
            merged[section] = {**shared, **own}
    return merged


def _read(path: Path, prefix: str) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    config = config_in(path.read_bytes(), str(DEFAULTS))
    sections = {str(key).removeprefix(prefix): value for key, value in config.items()}
    for section, shared in sections.items():
        if section in NOT_SHARED:
            raise SettingsError(f"{DEFAULTS} has {prefix}{section}, which each stack says itself")
        if not isinstance(shared, dict):
            raise SettingsError(f"{DEFAULTS}: {prefix}{section} is {shared!r}, it must be a mapping")
    return sections
