"""What settings ask that nothing can give: known without a plan, so that it is told with all else that is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

from nodestack.catalog import Catalog
from nodestack.catalog.corrections import corrections
from nodestack.catalog.engine_options import option_table
from nodestack.catalog.names import suggestion
from nodestack.planning.option_checks import Checker
from nodestack.settings import NAMESPACE

LENGTHS = (("serving", "max_model_len"), ("workload", "trace_length_p95"))


def unworkable(values: Mapping[str, Any], catalog: Catalog) -> list[str]:
    """Return lengths that the model does not know, an API without a price, and options that the engine refuses.

    Args:
        values: Settings by section, as they were given: they may be wrong in other ways, which is not told here.
        catalog: Where model, node and engine are looked up; what is not found is not judged.
    """
    return [
        f"{NAMESPACE}:{problem}"
        for problem in (*_lengths(values, catalog), *_api(values, catalog), *_options(values, catalog))
    ]


def _lengths(values: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    name = _within(values, "model", "name")
    model = catalog.models.get(str(name))
    longest = model.architecture.max_position_embeddings if model else None
    for section, key in LENGTHS:
        length = _within(values, section, key)
        if longest is not None and isinstance(length, int) and length > longest:
            yield f"{section}.{key} is {length}, {name} knows {longest} positions"


def _api(values: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    name, known = _within(values, "cost", "api"), catalog.prices.apis
    if name is not None and name not in known:
        yield f"cost.api is {name!r}, known are: {suggestion(str(name), known)}"


def _options(values: Mapping[str, Any], catalog: Catalog) -> list[str]:
    version, options = str(_within(values, "engine", "version")), _within(values, "serving", "options")
    engine = catalog.engines.get(version)
    model = catalog.models.get(str(_within(values, "model", "name")))
    if engine is None or model is None or not model.formats or not isinstance(options, Mapping):
        return []
    weights = model.formats.get(str(_within(values, "model", "format"))) or next(iter(model.formats.values()))
    shape = catalog.nodes.shapes.get(str(_within(values, "node", "shape")))
    device = shape.runs_on if shape else "gpu"
    checker = Checker(engine, option_table(version), corrections(), model, weights, device)
    return checker.check({str(name): value for name, value in options.items()}, {}).refusals


def _within(values: Mapping[str, Any], section: str, key: str) -> Any:
    found = values.get(section)
    return found.get(key) if isinstance(found, Mapping) else None
