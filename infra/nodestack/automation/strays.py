"""Remove a node that exists under the stack's name and that the state does not know: a killed creation leaves one."""

import threading

import yaml
from pydantic import TypeAdapter

from nodestack import naming
from nodestack.automation import backend
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.clouds import open_account
from nodestack.lifecycle import nodes
from nodestack.settings import CloudSettings

_NODE = "nodestack:index:Node"


def remove(checkout: Checkout, stack: str) -> list[str]:
    """Delete the node that nobody else would; return what was done, a line each.

    Raises:
        CloudError: The cloud refused.
    """
    if _known(checkout, stack):
        return []
    document = yaml.safe_load(checkout.stack_file(stack).read_text(encoding="utf-8"))
    cloud: CloudSettings = TypeAdapter(CloudSettings).validate_python(document["config"][f"{PROJECT}:cloud"])
    name = naming.node_name(PROJECT, stack)
    node = nodes.delete_by_name(
        open_account(naming.account(cloud, checkout.root)), name, progress=print, cancelled=threading.Event()
    )
    return [f"deleted node {name}, which the state did not know"] if node else []


def _known(checkout: Checkout, stack: str) -> bool:
    return any(resource["type"] == _NODE for resource in backend.latest(checkout, stack).get("resources") or [])
