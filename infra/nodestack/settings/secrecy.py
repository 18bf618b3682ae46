"""Secrets are encrypted where a stack is kept: one that stands in the clear is refused, others may have read it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nodestack.errors import SettingsError
from nodestack.settings.defaults import GENERATED, SECRETS
from nodestack.settings.parsing import NAMESPACE

_KEYS = tuple(f"{NAMESPACE}:{name}" for name in sorted(SECRETS))
_ENCRYPTED = {"secure"}


def require_encrypted(config: Mapping[str, Any], is_encrypted: Callable[[str], bool]) -> None:
    """Look at the engine's configuration: it tells values decrypted, and which were encrypted.

    Args:
        config: Values by key, such as `nodestack:api_key`.
        is_encrypted: Whether the value of a key was, as `pulumi.runtime.is_config_secret`.

    Raises:
        SettingsError: A secret was not; the message says what to do, and not what it is.
    """
    _refuse(key for key in _KEYS if key in config and not is_encrypted(key))


def require_encrypted_in_file(values: Mapping[str, Any]) -> None:
    """Look at what a stack's file says: what is encrypted is a mapping with the one key `secure`.

    Raises:
        SettingsError: A secret stands there in the clear; the message says what to do, and not what it is.
    """
    _refuse(found for key in _KEYS for found in _in_the_clear(key, values.get(key)))


def _in_the_clear(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        if value is not None:
            yield path
    elif value.keys() != _ENCRYPTED:
        for key, inner in value.items():
            yield from _in_the_clear(f"{path}.{key}", inner)


def _refuse(paths: Iterator[str]) -> None:
    if wrong := [f"{path} stands in the clear in the stack's file: {_instead(path)}" for path in paths]:
        raise SettingsError("\n  ".join(["secrets have to be encrypted:", *wrong]))


def _instead(path: str) -> str:
    if path.partition(":")[2] in GENERATED:
        return "take it out there, and `make init` makes another"
    return f"whoever read the file has it, so set another: `pulumi config set --secret --path '{path}'`"
