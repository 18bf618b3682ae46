"""One module a resource type; `RESOURCES` lists them by the token the engine names them with."""

from typing import Any

from nodestack.plugin.resources.base import Resource
from nodestack.plugin.resources.configuration import Configuration
from nodestack.plugin.resources.node import Node
from nodestack.plugin.resources.volume import Volume

RESOURCES: dict[str, Resource[Any, Any]] = {
    resource.token: resource for resource in (Volume(), Node(), Configuration())
}
