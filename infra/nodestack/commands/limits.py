"""What settings ask beyond what their model has: known without a plan, so it is told with all else that is wrong."""

from collections.abc import Mapping
from typing import Any

from nodestack.catalog import Catalog
from nodestack.settings import NAMESPACE

LENGTHS = (("serving", "max_model_len"), ("workload", "trace_length_p95"))


def exceeded(values: Mapping[str, Any], catalog: Catalog) -> list[str]:
    """Return lengths above the positions that the model knows.

    Args:
        values: Settings by section, as they were given: they may be wrong in other ways.
        catalog: Where the model is looked up.
    """
    name = _within(values, "model", "name")
    model = catalog.models.get(name) if isinstance(name, str) else None
    longest = model.architecture.max_position_embeddings if model else None
    if longest is None:
        return []
    asked = {f"{section}.{key}": _within(values, section, key) for section, key in LENGTHS}
    return [
        f"{NAMESPACE}:{key} is {length}, longer than the {longest} positions that {name} knows"
        for key, length in asked.items()
        if isinstance(length, int) and length > longest
    ]


def _within(values: Mapping[str, Any], section: str, key: str) -> Any:
    found = values.get(section)
    return found.get(key) if isinstance(found, Mapping) else None
