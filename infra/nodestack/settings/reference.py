"""Every setting with type, default, allowed values and meaning: read off the sections, so that it is told once."""

import json
import shlex
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from docstring_parser import parse
from pydantic import BaseModel, ConfigDict, JsonValue

from nodestack.settings.defaults import SECRETS
from nodestack.settings.parsing import NAMESPACE
from nodestack.settings.stack import Settings

EXAMPLES = Path(__file__).with_name("examples.yaml")
TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}
BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
FORMATS = {"date": "a date", "password": "text, kept secret"}


class Setting(BaseModel):
    """One key of a stack.

    Attributes:
        key: Section and name, as `--set` takes them.
        applies: When it may be set, where that is not always.
        type: What its values are, in words.
        allowed: All values it may have, or none when they are not a list.
        required: Whether a stack must have it, or must when it has anything else of an optional group.
        default: What holds when it is left out.
        meaning: What it is for.
        example: A line that sets it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    applies: str
    type: str
    allowed: tuple[JsonValue, ...]
    required: bool
    default: JsonValue
    meaning: str
    example: str


def reference() -> list[Setting]:
    """Return all settings in the order of the sections.

    >>> next(setting for setting in reference() if setting.key == "serving.max_num_seqs").type
    'a whole number above 0'
    """
    return list(_settings(Settings, ()))


def _settings(section: type[BaseModel], path: tuple[str, ...]) -> Iterator[Setting]:
    schema = section.model_json_schema()
    meanings = _meanings(section)
    for name, field in section.model_fields.items():
        inner = [*_sections(field.annotation)]
        if len(inner) > 1:
            yield from _kinds(inner, (*path, name))
        elif inner:
            yield from _settings(inner[0], (*path, name))
        else:
            told = _plain(schema["properties"][name], schema)
            default = None if field.is_required() else schema["properties"][name].get("default")
            key = ".".join((*path, name))
            yield Setting(
                key=key,
                applies="",
                type=_type(told),
                allowed=tuple(told.get("enum", ())) or ((told["const"],) if "const" in told else ()),
                required=field.is_required(),
                default=default,
                meaning=meanings.get(name, ""),
                example=_example(key, told, default),
            )


def _kinds(sections: list[type[BaseModel]], path: tuple[str, ...]) -> Iterator[Setting]:
    """Yield the settings of a section that comes in kinds: which there are, and what each has."""
    named = {section.model_fields["kind"].default: section for section in sections}
    place = ".".join(path)
    yield Setting(
        key=f"{place}.kind",
        applies="",
        type="one of these",
        allowed=tuple(named),
        required=True,
        default=None,
        meaning=" ".join(
            f"`{kind}`: {parse(section.__doc__ or '').short_description}" for kind, section in named.items()
        ),
        example=f"--set {place}.kind={next(iter(named))}",
    )
    for kind, section in named.items():
        for setting in _settings(section, path):
            if setting.key != f"{place}.kind":
                yield setting.model_copy(update={"applies": f"{place}.kind is {kind}"})


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) is dict:
        # Entries that a stack names itself: one setting, whose example shows one.
        return
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


def _meanings(section: type[BaseModel]) -> dict[str, str]:
    """Return what docstrings say of each field; a base's words hold where the section itself has none."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        for told in parse(kind.__doc__ or "").params:
            found[told.arg_name] = " ".join((told.description or "").split())
    return found


def _plain(told: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that is there: of `X or nothing` that of X, of a reference what it refers to."""
    if "anyOf" in told:
        told = next(choice for choice in told["anyOf"] if choice.get("type") != "null")
    if "$ref" in told:
        told = schema["$defs"][told["$ref"].rpartition("/")[2]]
    return told


def _type(told: dict[str, Any]) -> str:
    if "enum" in told or "const" in told:
        return "one of these"
    kind = FORMATS.get(told.get("format", ""), TYPES.get(told.get("type", ""), "any value"))
    bounds = [f"{words} {told[name]:g}" for name, words in BOUNDS.items() if name in told]
    if "pattern" in told:
        bounds.append(f"matching {told['pattern']}")
    return " ".join([kind, ", ".join(bounds)]).strip()


def _example(key: str, told: dict[str, Any], default: JsonValue) -> str:
    if key in SECRETS:
        several = told.get("type") == "object"
        return f"pulumi config set --secret {f'--path {NAMESPACE}:{key}.NAME' if several else f'{NAMESPACE}:{key}'}"
    if key in (shown := _examples()):
        value = shown[key]
    elif "enum" in told:
        value = next(choice for choice in told["enum"] if choice != default)
    elif isinstance(default, bool):
        value = not default
    else:
        value = told.get("const", default)
    if isinstance(value, dict):
        inner, value = next(iter(value.items()))
        key = f"{key}.{inner}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"--set {shlex.quote(f'{key}={text}')}"


@cache
def _examples() -> dict[str, Any]:
    shown: dict[str, Any] = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    return {key: str(value) if isinstance(value, date) else value for key, value in shown.items()}
