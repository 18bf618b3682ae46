"""The GPU node: one machine, with the weights volume attached."""

from dataclasses import dataclass

import pulumi

from nodestack.clouds.base import Account
from nodestack.components.purchase import Purchase
from nodestack.components.resources import Node


@dataclass(frozen=True)
class GpuNodeArgs:
    """What a node is made from.

    Attributes:
        account: The cloud account it lives in.
        name: Exact name, found again by it.
        shape: Node shape of the catalogue.
        volume_id: The weights volume.
        ssh_private_key: Secret; the key that may log in.
        hardware_profile: Local cloud only: which recorded hardware is replayed.
        ready_timeout_s: Seconds from creation until SSH and cloud-init are done.
        purchase: Which machine is bought; None where the cloud has one thing only.
    """

    account: Account
    name: str
    shape: str
    volume_id: pulumi.Input[str]
    ssh_private_key: pulumi.Input[str]
    hardware_profile: str
    ready_timeout_s: int
    purchase: Purchase | None = None


class GpuNode(pulumi.ComponentResource):
    """A machine that is up, reached over SSH, and not yet configured.

    Outputs:
        node: The machine: id, identity, address.
    """

    node: Node

    def __init__(self, name: str, args: GpuNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nodestack:components:GpuNode", name, {}, opts)
        ready = f"{args.ready_timeout_s}s"
        self.node = Node(
            name,
            {
                "account": args.account.model_dump(),
                "name": args.name,
                "shape": args.shape,
                "volumeId": args.volume_id,
                "sshPrivateKey": args.ssh_private_key,
                "hardwareProfile": args.hardware_profile,
                **(args.purchase.inputs() if args.purchase else {}),
            },
            pulumi.ResourceOptions(
                parent=self,
                additional_secret_outputs=["sshPrivateKey"],
                custom_timeouts=pulumi.CustomTimeouts(create=ready, update=ready),
            ),
        )
        self.register_outputs({"address": self.node.address})
