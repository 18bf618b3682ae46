"""Facts as data with source and date, and their loader."""

from nodestack.catalog.catalog import Catalog
from nodestack.catalog.engines import Driver, Engine
from nodestack.catalog.loader import load, load_for
from nodestack.catalog.models import Architecture, Format, Model
from nodestack.catalog.nodes import Gpu, Shape
from nodestack.catalog.prices import NodePrice

__all__ = [
    "Architecture",
    "Catalog",
    "Driver",
    "Engine",
    "Format",
    "Gpu",
    "Model",
    "NodePrice",
    "Shape",
    "load",
    "load_for",
]
