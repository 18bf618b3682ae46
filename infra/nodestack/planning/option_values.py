"""Names and values of engine options as a version's own parser would judge them, without the parser."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import JsonValue

from nodestack.catalog.engine_options import Option, OptionTable

INTEGER = re.compile(r"[+-]?\d+")
SIZE = re.compile(r"\d+|\d+(\.\d+)?[kmgt]|\d+[KMGT]")


def canonical_name(name: str, table: OptionTable) -> tuple[str, str, bool]:
    """Return an option's own name, the key within its group or "", and whether it is denied by `no-`.

    >>> from nodestack.catalog.engine_options import option_table
    >>> canonical_name("no-async_scheduling", option_table("0.23.0"))
    ('async-scheduling', '', True)
    """
    head, _, key = name.partition(".")
    head = head.replace("_", "-")
    for known, option in table.options.items():
        if head in option.aliases:
            head = known
    denied = head.removeprefix("no-")
    if head not in table.options and denied in table.options and table.options[denied].type == "boolean":
        return denied, key, True
    return head, key, False


def closest(name: str, known: Mapping[str, object]) -> str:
    """Return a hint at what was probably meant, or ""."""
    found = get_close_matches(name, known, n=1) or [other for other in sorted(known) if other.startswith(name)]
    return f"; did you mean {found[0]}?" if found else ""


def misfits(path: str, option: Option, value: JsonValue) -> Iterator[str]:
    """Yield why a parser would not take this value, each naming the option or the key of its group."""
    if option.type == "config":
        yield from _in_group(path, option.keys or {}, value)
    elif option.many and isinstance(value, list):
        if not value:
            yield f"{path} is an empty list, which the engine would leave out: leave it out yourself"
        for entry in value:
            yield from _of_one(path, option, entry)
    else:
        yield from _of_one(path, option, value)


def _in_group(path: str, keys: Mapping[str, Option], value: JsonValue) -> Iterator[str]:
    group = decoded(value)
    if not isinstance(group, dict):
        yield f"{path} is {_shown(value)}: it is a group of keys ({', '.join(sorted(keys))})"
        return
    for key, inner in group.items():
        if key not in keys:
            yield f"{path}.{key} is no key of {path}{closest(key, keys)}"
        elif inner is not None:
            yield from misfits(f"{path}.{key}", keys[key], inner)


def _of_one(path: str, option: Option, value: JsonValue) -> Iterator[str]:
    wanted, fits = _TYPES[option.type]
    if not fits(value):
        yield f"{path} is {_shown(value)}: it takes {wanted}{', and only one' if isinstance(value, list) else ''}"
    elif option.choices is not None and str(value) not in {str(choice) for choice in option.choices}:
        yield f"{path} is {_shown(value)}: it takes one of {', '.join(str(choice) for choice in option.choices)}"


def decoded(value: JsonValue) -> Any:
    """Return what a text says as JSON, None where it says nothing so; anything else as it is."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return None
    return value


def _shown(value: JsonValue) -> str:
    return json.dumps(value) if isinstance(value, dict | list | bool) else repr(value)


def _is_integer(value: JsonValue) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and bool(INTEGER.fullmatch(value))
    )


def _is_size(value: JsonValue) -> bool:
    return (_is_integer(value) and not str(value).startswith("-")) or (
        isinstance(value, str) and bool(SIZE.fullmatch(value))
    )


def _is_number(value: JsonValue) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: JsonValue) -> bool:
    # A word with a dash in front would be read as the next option.
    return _is_number(value) or (isinstance(value, str) and not value.startswith("-"))


def _is_json(value: JsonValue) -> bool:
    if isinstance(value, str):
        return decoded(value) is not None or value == "null"
    return value is not None and not isinstance(value, bool)


def _is_adapter(value: JsonValue) -> bool:
    if isinstance(value, str) and "=" in value and "," not in value:
        return all(value.split("=", 1))
    described = decoded(value)
    return isinstance(described, dict) and {"name", "path"} <= described.keys()


_TYPES: dict[str, tuple[str, Callable[[JsonValue], bool]]] = {
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number", _is_integer),
    "size": ("a whole number, which may end in k, m, g, t (1000) or K, M, G, T (1024)", _is_size),
    "size_or_auto": (
        "auto or a whole number, which may end in k, m, g, t (1000) or K, M, G, T (1024)",
        lambda value: value in ("auto", -1, "-1") or _is_size(value),
    ),
    "number": ("a number", _is_number),
    "text": ("a text", _is_text),
    "json": ("JSON", _is_json),
    "adapter": ("name=path, or JSON with name and path", _is_adapter),
    "any": ("anything", lambda value: True),
    "text_or_json": ("a text or an object", lambda value: isinstance(value, dict) or _is_text(value)),
}
