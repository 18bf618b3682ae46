"""The serving configuration of one machine: playbooks in, proofs out."""

from dataclasses import dataclass
from typing import Any

import pulumi

from nodestack.clouds.base import Account
from nodestack.components.gpu_node import GpuNode
from nodestack.components.resources import Configuration
from nodestack.components.weights_volume import WeightsVolume


@dataclass(frozen=True)
class ServingArgs:
    """What a configuration is made from.

    Attributes:
        account: The cloud account the machine lives in.
        volume: The weights volume, which the machine has.
        node: The machine; the configuration is bound to its identity, not to its address.
        ssh_private_key: Secret; the key that may log in.
        api_key: Secret; what clients send.
        hub_token: Secret, or None.
        document: The node document's fields that do not depend on the machine.
        manifest_sha256: Digest that the stack's settings have for the commit; "" for none.
    """

    account: Account
    volume: WeightsVolume
    node: GpuNode
    ssh_private_key: pulumi.Input[str]
    api_key: pulumi.Input[str]
    hub_token: pulumi.Input[str] | None
    document: dict[str, Any]
    manifest_sha256: str = ""


class Serving(pulumi.ComponentResource):
    """A machine that serves, with what was proved about it.

    Outputs:
        configuration: Verdicts of fabric, weights and smoke test.
    """

    configuration: Configuration

    def __init__(self, name: str, args: ServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nodestack:components:Serving", name, {}, opts)
        node = args.node.node
        props: dict[str, Any] = {
            "account": args.account.model_dump(),
            "nodeId": node.nodeId,
            "identity": node.identity,
            "address": node.address,
            "sshPort": node.sshPort,
            "sshUser": node.sshUser,
            "sshHostPublicKey": node.sshHostPublicKey,
            "volumeDevice": node.volumeDevice,
            "volumeHandle": args.volume.handle,
            "sshPrivateKey": args.ssh_private_key,
            "apiKey": args.api_key,
            "document": args.document,
            "expectedManifestSha256": args.manifest_sha256,
        }
        if args.hub_token is not None:
            props["hubToken"] = args.hub_token
        self.configuration = Configuration(
            name,
            props,
            pulumi.ResourceOptions(parent=self, additional_secret_outputs=["sshPrivateKey", "apiKey", "hubToken"]),
        )
        self.register_outputs({"manifest_sha256": self.configuration.manifestSha256})
