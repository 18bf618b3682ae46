"""Read the catalogue's YAML files into checked entries, and find entries by name."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from nodestack.catalog.engines import Driver, Engine
from nodestack.catalog.models import Format, Model
from nodestack.catalog.nodes import Gpu, Nodes, Shape
from nodestack.catalog.prices import NodePrice, Prices
from nodestack.catalog.tuning import Tuning
from nodestack.errors import CatalogError

T = TypeVar("T")
HERE = Path(__file__).parent


class Catalog(BaseModel):
    """Everything the planner may rely on.

    Attributes:
        models: By name.
        nodes: GPUs and shapes by name.
        engines: By vLLM version.
        driver: The driver that nodes get.
        prices: Of nodes, volumes and APIs.
        tuning: What tuning needs, as sources state it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, Model]
    nodes: Nodes
    engines: dict[str, Engine]
    driver: Driver
    prices: Prices
    tuning: Tuning

    def model(self, name: str) -> Model:
        """Return a model; raises CatalogError with the known names."""
        return _pick(self.models, name, "model.name")

    def format(self, model: str, name: str) -> Format:
        """Return a format of a model; raises CatalogError with the known names."""
        return _pick(self.model(model).formats, name, "model.format")

    def shape(self, name: str) -> Shape:
        """Return a node shape; raises CatalogError with the known names."""
        return _pick(self.nodes.shapes, name, "node.shape")

    def gpu(self, shape: str) -> Gpu:
        """Return the GPU of a node shape; raises CatalogError with the known names."""
        return _pick(self.nodes.gpus, self.shape(shape).gpu, f"gpu of {shape}")

    def engine(self, version: str) -> Engine:
        """Return an engine version; raises CatalogError with the known versions."""
        return _pick(self.engines, version, "engine.version")

    def price(self, shape: str) -> NodePrice:
        """Return the price of a node shape; raises CatalogError with the known names."""
        return _pick(self.prices.nodes, shape, "price of")


@cache
def load() -> Catalog:
    """Return the catalogue that ships with nodestack.

    Raises:
        CatalogError: A file is malformed; the message names file and field.
    """
    return Catalog(
        models={name: model for path in _files("models") for name, model in _read(path, dict[str, Model]).items()},
        nodes=_read("nodes.yaml", Nodes),
        engines={Path(path).stem: _read(path, Engine) for path in _files("engines")},
        driver=_read("drivers.yaml", Driver),
        prices=_read("prices.yaml", Prices),
        tuning=_read("tuning.yaml", Tuning),
    )


def _files(directory: str) -> list[str]:
    return sorted(f"{directory}/{path.name}" for path in (HERE / directory).glob("*.yaml"))


def _read(name: str, kind: Any) -> Any:
    data = yaml.load((HERE / name).read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where built
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"catalogue file {name}: {field}: {first['msg']}") from error


def _pick(entries: Mapping[str, T], name: str, key: str) -> T:
    if name not in entries:
        raise CatalogError(f"{key} is {name!r}, known are: {', '.join(sorted(entries))}")
    return entries[name]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
