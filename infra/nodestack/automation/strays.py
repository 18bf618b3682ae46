"""Remove a node that exists under the stack's name and that the state does not know: a killed creation leaves one."""

import threading

from nodestack import naming
from nodestack.automation import backend, holdings
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.clouds import open_account
from nodestack.lifecycle import nodes

_NODE = "nodestack:index:Node"


def remove(checkout: Checkout, stack: str) -> list[str]:
    """Delete the node that nobody else would; return what was done, a line each.

    Raises:
        CloudError: The cloud refused.
    """
    if _known(checkout, stack):
        return []
    name, account = naming.node_name(PROJECT, stack), naming.account(holdings.cloud(checkout, stack), checkout.root)
    node = nodes.delete_by_name(open_account(account), name, progress=print, cancelled=threading.Event())
    return [f"deleted node {name}, which the state did not know"] if node else []


def _known(checkout: Checkout, stack: str) -> bool:
    return any(resource["type"] == _NODE for resource in backend.latest(checkout, stack).get("resources") or [])
