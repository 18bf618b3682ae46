"""The one machine of a Configuration: whether it is still there, how it is reached, what is handed to it."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from nodestack.clouds.base import Cloud
from nodestack.errors import CloudError
from nodestack.lifecycle import nodes
from nodestack.plugin.resources.configuration_contract import ConfigurationArgs, ConfigurationOutputs
from nodestack.provisioning.document import NodeDocument

if TYPE_CHECKING:
    from nodestack.provisioning.reach import Connection
    from nodestack.provisioning.workspace import Secrets


def whole_document(args: ConfigurationArgs, before: ConfigurationOutputs) -> NodeDocument:
    """Return the whole document; the manifest digest of this very commit is expected again once it was seen.

    That of the stack's own settings counts for more: it outlives this resource.
    """
    seen = before.weights
    same = seen is not None and (seen.repository, seen.commit) == (
        args.document.weights_repository,
        args.document.weights_commit,
    )
    seen_sha256 = before.manifest_sha256 if same else ""
    return args.document.model_copy(
        update={
            "base_identity": args.identity,
            "gateway_address": args.address,
            "storage_device": args.volume_device,
            "storage_volume_handle": args.volume_handle,
            "weights_expected_manifest_sha256": args.expected_manifest_sha256 or seen_sha256,
        }
    )


def node_secrets(args: ConfigurationArgs, document: NodeDocument) -> "Secrets":
    """Return what the machine needs to know and nobody else may read."""
    from nodestack.provisioning import authority  # noqa: PLC0415
    from nodestack.provisioning.workspace import Secrets  # noqa: PLC0415

    names = [document.gateway_address, *document.gateway_names]
    names += [document.gateway_hostname] if document.gateway_hostname else []
    issuer = authority.issuer(args.ssh_private_key.get_secret_value(), args.identity, names)
    return Secrets(
        api_keys=args.api_keys, issuer=SecretStr(issuer), hub_token=args.hub_token, alert_secret=args.alert_secret
    )


def connection(args: ConfigurationArgs) -> "Connection":
    """Return how the machine is reached."""
    from nodestack.provisioning.reach import Connection  # noqa: PLC0415

    return Connection(
        address=args.address,
        port=args.ssh_port,
        user=args.ssh_user,
        host_public_key=args.ssh_host_public_key,
        private_key=args.ssh_private_key,
    )


def require_machine(args: ConfigurationArgs, cloud: Cloud) -> None:
    """Raise CloudError where the machine is gone, or another one than was configured."""
    node = nodes.observe(cloud, args.node_id)
    if node is None:
        raise CloudError(f"node {args.node_id} is gone: run again, it is made anew and then configured")
    if node.identity != args.identity:
        raise CloudError(
            f"node {args.node_id} is another machine ({node.identity}) than the one to configure ({args.identity}): "
            "run again, the configuration is then made for the new one"
        )
