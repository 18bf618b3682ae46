"""The catalogue: everything the planner may rely on, and entries found by name."""

from collections.abc import Mapping
from typing import TypeVar

from nodestack.catalog.bench import BenchTerms
from nodestack.catalog.engines import Driver, Engine
from nodestack.catalog.entry import Entry
from nodestack.catalog.measurements import Start
from nodestack.catalog.models import Format, Model
from nodestack.catalog.names import suggestion
from nodestack.catalog.nodes import Gpu, Nodes, Shape
from nodestack.catalog.prices import NodePrice, Prices
from nodestack.catalog.profiles import Profiles
from nodestack.catalog.rules import Rules
from nodestack.catalog.tuning import Tuning
from nodestack.errors import CatalogError

T = TypeVar("T")


class Catalog(Entry):
    """Facts by name, ours and the user's.

    Attributes:
        models: By name.
        nodes: GPUs and shapes by name.
        engines: By vLLM version.
        driver: The driver that nodes get.
        prices: Of nodes, volumes and APIs.
        profiles: Service levels by name.
        rules: What planning counts with beside these.
        measurements: Starts of engines on real nodes.
        tuning: What tuning and quantising need, as sources state it.
        bench: How a served model is measured.
        overridden: Entries of ours that a file of the user's replaced, with that file.
    """

    models: dict[str, Model]
    nodes: Nodes
    engines: dict[str, Engine]
    driver: Driver
    prices: Prices
    profiles: Profiles
    rules: Rules
    measurements: tuple[Start, ...]
    tuning: Tuning
    bench: BenchTerms
    overridden: tuple[str, ...] = ()

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

    def unknown(
        self,
        *,
        model: str | None = None,
        format: str | None = None,
        shape: str | None = None,
        engine: str | None = None,
    ) -> list[str]:
        """Return what is wrong with names, all of them at once; nothing when each is known.

        Args:
            model: A model's name.
            format: A format's name; looked at only when its model is known.
            shape: A node shape's name.
            engine: A vLLM version.

        >>> from nodestack.catalog import load
        >>> load().unknown(model="trinity-large-thinking", format="fp8", engine="0.23.0")
        ["model.format is 'fp8', known are: bf16, fp8-block, gguf, nvfp4, w4a16; did you mean fp8-block?"]
        """
        asked: list[tuple[str, str | None, Mapping[str, object]]] = [
            ("model.name", model, self.models),
            ("node.shape", shape, self.nodes.shapes),
            ("engine.version", engine, self.engines),
        ]
        if model in self.models:
            asked.insert(1, ("model.format", format, self.models[model].formats))
        return [_no(name, known, key) for key, name, known in asked if name is not None and name not in known]


def _pick(entries: Mapping[str, T], name: str, key: str) -> T:
    if name not in entries:
        raise CatalogError(_no(name, entries, key))
    return entries[name]


def _no(name: str, known: Mapping[str, object], key: str) -> str:
    if not known:
        return f"{key} is {name!r}, but none is known: add one in a file of your own"
    return f"{key} is {name!r}, known are: {suggestion(name, known)}"
