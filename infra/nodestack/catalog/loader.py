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
            for name in ("nodes", "prices", "rules", "profiles", "measurements", "tuning")
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
    problems = list(_inherit(raw["models"], origins))
    try:
        catalog = Catalog(overridden=overridden, **raw)
    except ValidationError as error:
        problems += [explain(problem, origins) for problem in error.errors(include_url=False)]
    if problems:
        raise CatalogError("\n  ".join(dict.fromkeys(problems)))
    if lost := list(_dangling(catalog, origins)):
        raise CatalogError("\n  ".join(lost))
    return catalog


def _inherit(models: Raw, origins: Origins) -> Iterator[str]:
    """Fill in what models take from others by `like`; what is wrong with that is yielded."""
    for name in models:
        chain, place = [name], models[name]
        merged = place
        while isinstance(place, dict) and "like" in place:
            other = place["like"]
            if other in chain or other not in models:
                known = [model for model in models if model not in chain]
                at = f"{origin(origins, ('models', chain[-1]))}: models.{chain[-1]}.like is {other!r}"
                yield f"{at}, known are: {suggestion(str(other), known)}"
                break
            chain.append(other)
            place = models[other]
            if isinstance(place, dict):
                merged = {key: value for key, value in place.items() if key != "formats"} | merged
        if isinstance(merged, dict):
            # Others may still refer to this one, so that its own `like` stays until all are merged.
            models[name] = merged
    for model in models.values():
        if isinstance(model, dict):
            model.pop("like", None)


def _dangling(catalog: Catalog, origins: Origins) -> Iterator[str]:
    for name, shape in catalog.nodes.shapes.items():
        if shape.gpu not in catalog.nodes.gpus:
            known = suggestion(shape.gpu, catalog.nodes.gpus)
            yield f"{origin(origins, ('shapes', name))}: shapes.{name}.gpu is {shape.gpu!r}, known are: {known}"


def _place(raw: Raw, keys: tuple[str, ...]) -> Raw:
    for key in keys:
        raw = raw.setdefault(key, {})
    return raw


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
