"""A node document as the local stack's template asks for it."""

from nodestack.catalog import load
from nodestack.planning.document import node_document as plan_document
from nodestack.planning.plan import make_plan
from nodestack.provisioning.document import NodeDocument
from nodestack.settings import parse
from tests.stacks import config


def node_document(**changes: object) -> NodeDocument:
    """Return the document of the local stack on some machine, with changed fields."""
    settings, catalog = parse(config()), load()
    machine = {
        "base_identity": "node-1#nonce",
        "storage_device": "/dev/vdb",
        "storage_volume_handle": "",
        "weights_expected_manifest_sha256": "",
        "weights_token_file": "",
        "gateway_address": "127.77.0.1",
        "gateway_keys_file": "",
        "gateway_issuer_file": "",
        "monitoring_receiver_secret_file": "",
    }
    return NodeDocument(**(plan_document(settings, make_plan(settings.request, catalog), catalog) | machine | changes))
