"""What is to be planned: a stack's file, options of the command line, and defaults for the rest, checked as a whole."""

from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ByteSize, TypeAdapter, ValidationError

from nodestack.automation.checkout import find
from nodestack.catalog import Catalog, load, load_for
from nodestack.commands.limits import unworkable
from nodestack.errors import CatalogError, PlanError, SettingsError
from nodestack.planning.dimensions import dimensions
from nodestack.planning.plan import make_plan
from nodestack.settings import NAMESPACE, NodeChoice, NodeSettings, Request, Settings, validate
from nodestack.settings.defaults import with_defaults
from nodestack.settings.secrecy import require_encrypted_in_file
from nodestack.settings.stack import planned_kind
from nodestack.stack_file import config_in

Values = dict[str, Any]
NAMED = {
    "model": ("model", "name"),
    "node": ("node", "shape"),
    "format": ("model", "format"),
    "engine": ("engine", "version"),
}


def catalog_for(options: Namespace) -> Catalog:
    """Return the catalogue that a command plans with: that of the checkout it is called in, and files that it names.

    Raises:
        CatalogError: A file is unreadable or an entry malformed.
    """
    try:
        return load_for(find(Path.cwd()).root, *options.catalog)
    except FileNotFoundError:
        return load(*options.catalog)


def selected(options: Namespace, catalog: Catalog) -> Request:
    """Return what the command line asks for.

    Args:
        options: What `arguments` adds for a selection, as it was typed.
        catalog: Where names must be known.

    Raises:
        SettingsError: One line for each problem of all of them together.
    """
    if not any((options.stack, options.model, options.node)):
        known = f"models {', '.join(catalog.models)}; nodes {', '.join(catalog.nodes.shapes)}"
        raise SettingsError(
            f"nothing is asked for: say --stack NAME, or --model NAME and --node SHAPE; known are {known}"
        )
    problems: list[str] = []
    values, directory = _of_stack(options.stack, problems) if options.stack else ({}, Path())
    missing_stack = bool(problems)
    _apply(options, values, problems)
    if missing_stack:
        raise _wrong(problems)
    _complete(values, catalog)
    if values["model"].get("format") or values["model"].get("name") not in catalog.models:
        # Of a model that nobody knows, nobody misses the format.
        values["model"].setdefault("format", "")
        return _checked(values, catalog, directory, problems)
    return _first_that_fits(values, catalog, directory, problems)


def selected_each(options: Namespace, catalog: Catalog) -> list[Request]:
    """Return a request for each node and format that is asked for, or for all.

    Args:
        options: As `selected` takes them, without a stack; `node` and `format` are lists or None.
        catalog: Where names must be known, and where all nodes with GPUs and all formats are from.

    Raises:
        SettingsError: One line for each problem of all of them together.
    """
    if not options.model:
        raise SettingsError(f"--model is missing; known are {', '.join(catalog.models)}")
    model = catalog.models.get(options.model)
    nodes = options.node or [name for name, shape in catalog.nodes.shapes.items() if shape.runs_on == "gpu"]
    requests = []
    problems: dict[str, None] = {}
    for node in nodes:
        for name in options.format or (model and model.formats) or [None]:
            one = Namespace(**vars(options) | {"stack": None, "node": node, "format": name, "kv_bytes_per_gpu": None})
            try:
                requests.append(selected(one, catalog))
            except SettingsError as error:
                problems |= dict.fromkeys(str(error).split("\n  ")[1:])
    if problems:
        raise _wrong(list(problems))
    return requests


def kv_bytes(text: str | None) -> int | None:
    """Return a number of bytes from what was typed, such as `26.73GiB` or `28701118955`.

    Raises:
        SettingsError: It is no size above 0.
    """
    if text is None:
        return None
    try:
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        size = 0
    if size <= 0:
        raise SettingsError(f"--kv-bytes-per-gpu is {text!r}: say a number of bytes above 0, or a size like 26.73GiB")
    return size


def _of_stack(name: str, problems: list[str]) -> tuple[Values, Path]:
    """Return what a stack's file says of a request, and where its files are; what else a stack has is left out."""
    try:
        checkout = find(Path.cwd())
    except FileNotFoundError as error:
        problems.append(f"--stack {name}: {error}")
        return {}, Path()
    path = checkout.source(name)
    if path is None:
        problems.append(f"--stack {name}: there is neither {checkout.places(name)}")
        return {}, checkout.root
    try:
        config = config_in(path.read_bytes(), str(path.relative_to(checkout.root)))
        require_encrypted_in_file(config)
    except SettingsError as error:
        problems.append(str(error))
        return {}, checkout.root
    prefix = f"{NAMESPACE}:"
    values = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return _request_part(with_defaults(values, checkout.root)), checkout.root


def _request_part(values: Values) -> Values:
    """Leave out what only whole stacks have; what neither knows stays, to be refused by name."""
    beyond = Settings.model_fields.keys() - Request.model_fields.keys()
    part = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name not in beyond
    }
    if isinstance(node := part.get("node"), dict):
        of_stacks = NodeSettings.model_fields.keys() - NodeChoice.model_fields.keys()
        part["node"] = {key: value for key, value in node.items() if key not in of_stacks}
    if isinstance(cloud := part.get("cloud"), dict):
        kind = cloud.get("kind")
        part["cloud"] = planned_kind(kind, str(cloud.get("base_url", ""))) if isinstance(kind, str) else kind
    return part


def _apply(options: Namespace, values: Values, problems: list[str]) -> None:
    """Let what was typed take the place of what the stack says; another model brings its own format and pin."""
    if options.model:
        values["model"] = {
            key: value for key, value in (values.get("model") or {}).items() if key not in {"format", "commit"}
        }
    for option, path in NAMED.items():
        if getattr(options, option):
            _set(values, path, getattr(options, option))
    if options.profile:
        _set(values, ("serving", "profile"), options.profile)
    for setting in options.settings:
        key, sign, text = setting.partition("=")
        try:
            if not (sign and key):
                raise ValueError("say KEY=VALUE, such as serving.max_model_len=65536")
            _set(values, tuple(key.strip().removeprefix(f"{NAMESPACE}:").split(".")), yaml.safe_load(text))
        except (ValueError, yaml.YAMLError) as error:
            problems.append(f"--set {setting}: {' '.join(str(error).split())}")
    try:
        kv_bytes(options.kv_bytes_per_gpu)
    except SettingsError as error:
        problems.append(str(error))


def _set(values: Values, path: tuple[str, ...], value: Any) -> None:
    *sections, key = path
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ValueError(f"{section} is {place!r}, it has no keys")
    place[key] = value


def _complete(values: Values, catalog: Catalog) -> None:
    """Fill in the catalogue's engine, and the build that the shape runs."""
    for section in ("model", "node", "engine"):
        if not isinstance(values.get(section), dict):
            values[section] = {}
    values["engine"].setdefault("version", catalog.rules.engine.default_version)
    shape = catalog.nodes.shapes.get(str(values["node"].get("shape")))
    if shape and shape.runs_on == "cpu":
        values["engine"].setdefault("build", "cpu")


def _first_that_fits(values: Values, catalog: Catalog, directory: Path, problems: list[str]) -> Request:
    """Return the request with the first format that fits, or the first of all when none does."""
    requests = []
    for name in catalog.models[values["model"]["name"]].formats:
        named = values | {"model": values["model"] | {"format": name}}
        requests.append(_checked(named, catalog, directory, problems))
        # A format that is not served, or lacks numbers that a plan needs, is no reason to look no further.
        with suppress(CatalogError, PlanError):
            if make_plan(requests[-1], catalog).fits:
                return requests[-1]
    if requests:
        return requests[0]
    named = values | {"model": values["model"] | {"format": "any"}}
    return _checked(named, catalog, directory, [*problems, *_numberless(values["model"]["name"], catalog)])


def _numberless(model: str, catalog: Catalog) -> list[str]:
    """Return which numbers of a model are not known, nothing when all are."""
    try:
        dimensions(model, catalog.models[model].architecture)
    except CatalogError as error:
        return [str(error)]
    return []


def _checked(values: Values, catalog: Catalog, directory: Path, problems: list[str]) -> Request:
    problems = list(problems)
    request = None
    try:
        request = validate(Request, values, catalog, directory, "what is asked for")
    except SettingsError as error:
        problems += str(error).split("\n  ")[1:]
    problems += unworkable(values, catalog)
    if request is None or problems:
        raise _wrong(problems)
    return request


def _wrong(problems: list[str]) -> SettingsError:
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    return SettingsError("\n  ".join([f"what is asked for is wrong in {places}:", *problems]))
