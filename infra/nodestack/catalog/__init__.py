"""Facts as data with source and date, and their loader."""

from nodestack.catalog.loader import Catalog, load
from nodestack.catalog.model import Driver, Engine, Format, Gpu, Model, NodePrice, Shape

__all__ = ["Catalog", "Driver", "Engine", "Format", "Gpu", "Model", "NodePrice", "Shape", "load"]
