"""The keys of a model's JSON, nested ones by their path, as docs/plan.md lists them."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def keys(kind: type[BaseModel], path: str = "") -> list[str]:
    """Return all keys in order; `[]` follows a key whose value is a list of objects, each key is there once."""
    return list(dict.fromkeys(_keys(kind, path)))


def _keys(kind: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        inner = list(_models(field.annotation))
        if not inner:
            yield f"{path}{name}"
        many = "[]" if getattr(field.annotation, "__origin__", None) is tuple else ""
        for model in inner:
            yield from _keys(model, f"{path}{name}{many}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
