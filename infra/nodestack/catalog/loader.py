"""Read the catalogue's YAML files, and files of the user's own, into checked entries."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nodestack.catalog.catalog import Catalog
from nodestack.catalog.names import suggestion
from nodestack.catalog.problems import SECTIONS, Origins, explain, origin
from nodestack.errors import CatalogError

HERE = Path(__file__).parent
Raw = dict[str, Any]


def load(*extra: Path) -> Catalog:
    """Return the catalogue, with the entries of the user's own files added.

    An entry of ours of the same name is replaced and remembered in `Catalog.overridden`; a later file replaces an
    earlier one's. A model may say `like: NAME` and then only what differs.

    Args:
        extra: YAML files with any of the keys `models`, `gpus`, `shapes`, `prices` and `apis`.

    Raises:
        CatalogError: Files are unreadable or entries malformed; every problem is named by file, key, value and what is
            allowed.
    """
    return _with(extra) if extra else _ours()


def load_for(project: Path, *extra: Path) -> Catalog:
    """Return the catalogue that a project plans with: ours, its `stacks/catalog.yaml` if there is one, and `extra`.

    Args:
        project: Directory of Pulumi.yaml.
        extra: As for `load`.

    Raises:
        CatalogError: As for `load`.
    """
    own = project / "stacks" / "catalog.yaml"
    return load(*([own] if own.is_file() else []), *extra)


@cache
def _ours() -> Catalog:
    return _checked(_raw(), {}, ())


def _with(extra: tuple[Path, ...]) -> Catalog:
    raw, overridden, problems = _raw(), [], []
    origins: dict[tuple[str, str], Path] = {}
    for path in extra:
        try:
            sections = _sections(path)
        except CatalogError as error:
            problems.append(str(error))
            continue
        for section, entries in sections.items():
            place = _place(raw, SECTIONS[section])
            for name, entry in entries.items():
                if name in place and (section, name) not in origins:
                    overridden.append(f"{section}.{name} by {path}")
                place[name] = entry
                origins[section, name] = path
    if problems:
        raise CatalogError("\n  ".join(problems))
    return _checked(raw, origins, tuple(overridden))


def _raw() -> Raw:
    """Return our own files as they are, not checked yet."""
    models: Raw = {}
    for path in sorted((HERE / "models").glob("*.yaml")):
        models |= _read(path)
    return {
        "models": models,
        "engines": {path.stem: _read(path) for path in sorted((HERE / "engines").glob("*.yaml"))},
        **{
            name: _read(HERE / f"{name}.yaml")
            for name in ("nodes", "prices", "rules", "profiles", "measurements", "tuning", "bench")
        },
        "driver": _read(HERE / "drivers.yaml"),
    }


def _sections(path: Path) -> dict[str, Raw]:
    found = _read(path)
    if not isinstance(found, dict):
        raise CatalogError(f"{path}: holds no mapping, allowed are the keys {', '.join(SECTIONS)}")
    problems = []
    for section, entries in found.items():
        if section not in SECTIONS:
            problems.append(f"{path}: {section} is no key, known are: {suggestion(str(section), SECTIONS)}")
        elif not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
            problems.append(f"{path}: {section} is {entries!r}, it must be a mapping of entries by name")
    if problems:
        raise CatalogError("\n  ".join(problems))
    return found


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where built
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CatalogError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error


def _checked(raw: Raw, origins: Origins, overridden: tuple[str, ...]) -> Catalog:
    problems = [*_inherit(raw["models"], origins), *_dangling(raw, origins)]
    try:
        catalog = Catalog(overridden=overridden, **raw)
    except ValidationError as error:
        problems += [explain(problem, origins) for problem in error.errors(include_url=False)]
    if problems:
        raise CatalogError("\n  ".join(dict.fromkeys(problems)))
    return catalog


def _inherit(models: Raw, origins: Origins) -> Iterator[str]:
    """Fill in what models take from others by `like`; those that cannot are dropped, and why is yielded."""
    merged: Raw = {}
    for name in models:
        chain, merged[name] = [name], models[name]
        while isinstance(place := models[chain[-1]], dict) and "like" in place:
            other = place["like"]
            if not isinstance(other, str) or other in chain or other not in models:
                known = suggestion(str(other), [model for model in models if model not in chain])
                file = origin(origins, ("models", chain[-1]))
                yield f"{file}: models.{chain[-1]}.like is {other!r}, known are: {known}"
                del merged[name]
                break
            chain.append(other)
            if isinstance(models[other], dict):
                shared = {key: value for key, value in models[other].items() if key != "formats"}
                merged[name] = shared | merged[name]
    models.clear()
    for name, model in merged.items():
        models[name] = (
            {key: value for key, value in model.items() if key != "like"} if isinstance(model, dict) else model
        )


def _dangling(raw: Raw, origins: Origins) -> Iterator[str]:
    gpus, shapes = raw["nodes"]["gpus"], raw["nodes"]["shapes"]
    for name, shape in shapes.items():
        gpu = shape.get("gpu") if isinstance(shape, dict) else None
        if isinstance(gpu, str) and gpu not in gpus:
            file = origin(origins, ("shapes", name))
            yield f"{file}: shapes.{name}.gpu is {gpu!r}, known are: {suggestion(gpu, gpus)}"
    for name in raw["prices"]["nodes"]:
        if name not in shapes:
            file = origin(origins, ("prices", name))
            yield f"{file}: prices.{name} is the price of no shape, known are: {suggestion(name, shapes)}"


def _place(raw: Raw, keys: tuple[str, ...]) -> Raw:
    for key in keys:
        raw = raw.setdefault(key, {})
    return raw


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
