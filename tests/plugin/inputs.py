"""Inputs of the plugin's resources as a program would send them."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nodestack.catalog import load
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan
from nodestack.provisioning import keys
from nodestack.settings import parse
from tests.stacks import config

PRIVATE_KEY = keys.generate()
API_KEY = "sk-never-to-be-seen-0123456789"


def _document() -> dict[str, Any]:
    settings, catalog = parse(config()), load()
    return node_document(settings, make_plan(settings.request, catalog), catalog)


DOCUMENT = _document()


def account(directory: Path) -> dict[str, str]:
    return {"kind": "local", "directory": str(directory)}


def volume(directory: Path, size_gib: int = 1, name: str = "weights") -> dict[str, Any]:
    return {"account": account(directory), "name": name, "sizeGib": size_gib}


def node(directory: Path, volume_id: object, shape: str = "local") -> dict[str, Any]:
    return {
        "account": account(directory),
        "name": "web",
        "shape": shape,
        "volumeId": volume_id,
        "sshPrivateKey": SecretStr(PRIVATE_KEY),
        "hardwareProfile": "",
    }


def configuration(directory: Path, machine: dict[str, Any], **document: object) -> dict[str, Any]:
    """Inputs for the machine that a node's outputs describe."""
    taken = ("nodeId", "identity", "address", "sshPort", "sshUser", "sshHostPublicKey", "volumeDevice")
    return {
        "account": account(directory),
        **{name: machine[name] for name in taken},
        "sshPrivateKey": SecretStr(PRIVATE_KEY),
        "apiKeys": {"default": SecretStr(API_KEY)},
        "document": DOCUMENT | document,
    }
