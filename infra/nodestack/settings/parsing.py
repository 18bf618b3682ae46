"""From a stack's configuration to its settings, or one message that names everything wrong with it."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nodestack.catalog import Catalog
from nodestack.errors import SettingsError
from nodestack.settings import traces
from nodestack.settings.defaults import GENERATED, SECRETS, with_defaults
from nodestack.settings.sections import Section
from nodestack.settings.stack import Settings

NAMESPACE = "nodestack"
S = TypeVar("S", bound=Section)
_FINGERPRINT = "driver_repository_key_fingerprint"


def parse(config: Mapping[str, str], catalog: Catalog | None = None, directory: Path | None = None) -> Settings:
    """Return the settings of a stack.

    Args:
        config: The engine's configuration: keys like `nodestack:model`, values as strings, objects as JSON.
        catalog: Where names must be known; left out, names are not looked at.
        directory: Directory of Pulumi.yaml: stacks/defaults.yaml in it holds where the stack says nothing, and files
            it names are relative to it. Left out, there are no defaults, and files are relative to the current one.

    Raises:
        SettingsError: One line for each problem, naming the key, what was found and what is allowed.

    >>> parse({"nodestack:modle": "{}"})
    Traceback (most recent call last):
    ...
    nodestack.errors.SettingsError: the stack's settings are wrong in 8 places:
      nodestack:cloud is missing
      nodestack:node is missing
      nodestack:volume is missing
      nodestack:model is missing
      nodestack:engine is missing
      nodestack:api_key is missing: `make init` generates it
      nodestack:ssh_private_key is missing: `make init` generates it
      nodestack:modle is no setting; did you mean nodestack:model?
    """
    prefix = f"{NAMESPACE}:"
    values = {key.removeprefix(prefix): _decode(value) for key, value in config.items() if key.startswith(prefix)}
    if directory is not None:
        values = with_defaults(values, directory)
    return validate(Settings, values, catalog, directory or Path(), "the stack's settings")


def validate(kind: type[S], values: Mapping[str, Any], catalog: Catalog | None, directory: Path, what: str) -> S:
    """Return checked settings of a kind.

    Args:
        kind: The section that holds all others.
        values: By section; a file of trace lengths is read and its percentile takes its place.
        catalog: Where names must be known, or None.
        directory: Where files that the settings name are relative to.
        what: What the values are, for the message.

    Raises:
        SettingsError: One line for each problem, unknown names and unreadable files included.
    """
    problems, resolved = traces.resolve(values, directory)
    settings = None
    try:
        settings = kind.model_validate(resolved)
    except ValidationError as error:
        problems = [*(_explain(kind, problem) for problem in error.errors()), *problems]
    if catalog is not None:
        problems += _unknown_names(values, catalog)
    if settings is None or problems:
        count = "1 place" if len(problems) == 1 else f"{len(problems)} places"
        raise SettingsError("\n  ".join([f"{what} are wrong in {count}:", *problems]))
    return settings


def _unknown_names(values: Mapping[str, Any], catalog: Catalog) -> list[str]:
    def named(section: str, key: str) -> str | None:
        found = values.get(section)
        name = found.get(key) if isinstance(found, Mapping) else None
        return name if isinstance(name, str) else None

    unknown = [
        *catalog.unknown(
            model=named("model", "name"),
            format=named("model", "format"),
            shape=named("node", "shape"),
            engine=named("engine", "version"),
        ),
        *_unknown_key(catalog, named("node", "driver_repository_key_url"), named("node", _FINGERPRINT)),
    ]
    return [f"{NAMESPACE}:{problem}" for problem in unknown]


def _unknown_key(catalog: Catalog, url: str | None, fingerprint: str | None) -> list[str]:
    """Return what is wrong where a key would be trusted whatever it is."""
    if url is None or fingerprint or catalog.driver.key_fingerprint(url) is not None:
        return []
    return [f"node.{_FINGERPRINT} is missing: {url} is no known key, say the 40 hex digits of `gpg --show-keys`"]


def _decode(value: str) -> Any:
    if value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _explain(kind: type[Section], problem: ErrorDetails) -> str:
    # What pydantic adds where not the value but its key is wrong: that is the last part anyway.
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    error, context = problem["type"], problem.get("ctx", {})
    if error in {"union_tag_invalid", "union_tag_not_found"}:
        return f"{NAMESPACE}:{path[0]}.kind {_no_kind(_kinds(kind, path[0]), context.get('tag'))}"
    key = f"{NAMESPACE}:{'.'.join(_without_kind(kind, path))}" if path else NAMESPACE
    if error == "missing":
        hint = ": `make init` generates it" if key.endswith(GENERATED) else ""
        return f"{key} is missing{hint}"
    if error == "extra_forbidden":
        return f"{key} is no setting{_suggest(kind, path)}"
    if error == "value_error" and isinstance(problem["input"], Mapping):
        return f"{NAMESPACE}:{context['error']}"
    return _wrong_value(path, key, problem)


def _wrong_value(path: list[str], key: str, problem: ErrorDetails) -> str:
    found, said = problem["input"], str(problem.get("ctx", {}).get("error", problem["msg"]))
    if path == ["model", "commit"]:
        return f"{key} is {str(found)!r}: a pin is 40 hex digits, branches, tags and short hashes are refused"
    if path and path[0] in SECRETS:
        return f"{key}: {problem['msg']}"
    return f"{key} is {found!r}: {said[0].lower()}{said[1:]}"


def _no_kind(kinds: list[str], found: str | None) -> str:
    return f"is {found!r}, allowed are {', '.join(kinds)}" if found else f"is missing: say one of {', '.join(kinds)}"


def _kinds(kind: type[Section], section: str) -> list[str]:
    """Return what `kind` may say in a section that is one of several; nothing where it is another thing."""
    members = get_args(kind.model_fields[section].annotation)
    sections = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
    return [str(section.model_fields["kind"].default) for section in sections]


def _without_kind(kind: type[Section], path: list[str]) -> list[str]:
    """Return a path as a stack file has it: pydantic puts the kind into it where a section is one of several."""
    several = len(path) > 1 and path[0] in kind.model_fields and get_args(kind.model_fields[path[0]].annotation)
    return [path[0], *path[2:]] if several and path[1] in _kinds(kind, path[0]) else path


def _suggest(kind: type[Section], path: list[str]) -> str:
    known = _keys(kind, path[:-1])
    close = get_close_matches(path[-1], known, n=1)
    if close:
        return f"; did you mean {NAMESPACE}:{'.'.join([*_without_kind(kind, path)[:-1], close[0]])}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _keys(kind: type[Section], path: Iterable[str]) -> list[str]:
    section: Any = kind
    for part in path:
        if get_args(section):
            section = next(each for each in get_args(section) if each.model_fields["kind"].default == part)
            continue
        section = section.model_fields[part].annotation
        if not get_args(section) and not (isinstance(section, type) and issubclass(section, BaseModel)):
            return []
    return list(section.model_fields)
