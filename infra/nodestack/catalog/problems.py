"""What is wrong with a catalogue entry, as a person can act on it: file, key, value and what is allowed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic_core import ErrorDetails

from nodestack.catalog.catalog import Catalog
from nodestack.catalog.entry import Entry
from nodestack.catalog.names import suggestion

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "models": ("models",),
    "gpus": ("nodes", "gpus"),
    "shapes": ("nodes", "shapes"),
    "prices": ("prices", "nodes"),
    "apis": ("prices", "apis"),
}
"""What a file of the user's may hold, and where it goes in the catalogue."""

Origins = Mapping[tuple[str, str], Path]
"""By section and name, the file of the user's that an entry comes from; ours are not in it."""


def explain(problem: ErrorDetails, origins: Origins) -> str:
    """Return one problem as a line, in the words of the file that has it.

    Args:
        problem: As pydantic found it in the whole catalogue.
        origins: Where entries come from.
    """
    place = tuple(str(part) for part in problem["loc"])
    path = _as_written(place)
    file, key = origin(origins, path), ".".join(path)
    if problem["type"] == "missing":
        return f"{file}: {key} is missing"
    if problem["type"] == "extra_forbidden":
        known = list(_fields(place[:-1]))
        return f"{file}: {key} is no key" + (f", known are: {suggestion(place[-1], known)}" if known else "")
    if problem["type"] == "value_error":
        return f"{file}: {key}: {problem['ctx']['error']}"
    return f"{file}: {key} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def origin(origins: Origins, path: tuple[str, ...]) -> str:
    """Return the file that an entry comes from, by its path of section and name."""
    file = origins.get((path[0], path[1])) if len(path) > 1 else None
    return str(file) if file else "nodestack's own catalogue"


def _as_written(place: tuple[str, ...]) -> tuple[str, ...]:
    for section, inside in SECTIONS.items():
        if place[: len(inside)] == inside:
            return (section, *place[len(inside) :])
    return place


def _fields(place: tuple[str, ...]) -> Iterable[str]:
    """Return the keys of the entry at a place of the catalogue, none where there is no entry."""
    kind: Any = Catalog
    for part in place:
        inner = kind.model_fields[part].annotation if _is_entry(kind) else get_args(kind)[-1]
        kind = next((one for one in (inner, *get_args(inner)) if _is_entry(one) or get_origin(one) is dict), inner)
    return kind.model_fields if _is_entry(kind) else ()


def _is_entry(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Entry)
