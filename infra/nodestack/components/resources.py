"""The plugin's resources as Pulumi classes: names and types only.

Properties carry the plugin's own names. The SDK's translation of names would also rename the keys of nested maps,
and those of the node document are Ansible variables.
"""

from typing import Any

import pulumi


class Resource(pulumi.CustomResource):
    """Base: asks the engine for each property that the subclass annotates."""

    kind: str

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        outputs = dict.fromkeys(type(self).__annotations__)
        super().__init__(f"nodestack:index:{self.kind}", name, outputs | props, opts)


class Volume(Resource):
    """A volume of a cloud account: its id there, its size in GiB, and what a node may see of its name."""

    kind = "Volume"
    volumeId: pulumi.Output[str]
    sizeGib: pulumi.Output[int]
    handle: pulumi.Output[str]


class Node(Resource):
    """A machine of a cloud account: where SSH answers, the identity that changes with it, and what it is billed."""

    kind = "Node"
    nodeId: pulumi.Output[str]
    identity: pulumi.Output[str]
    address: pulumi.Output[str]
    sshPort: pulumi.Output[int]
    sshUser: pulumi.Output[str]
    sshHostPublicKey: pulumi.Output[str]
    volumeDevice: pulumi.Output[str]
    region: pulumi.Output[str]
    market: pulumi.Output[str]
    usdPerHour: pulumi.Output[float | None]
    createdAt: pulumi.Output[str]


class Configuration(Resource):
    """What the playbooks made of one machine, and what they proved; `phases` are seconds by role."""

    kind = "Configuration"
    manifestSha256: pulumi.Output[str]
    modelCommit: pulumi.Output[str]
    engineVersion: pulumi.Output[str]
    fabric: pulumi.Output[Any]
    smoke: pulumi.Output[Any]
    bench: pulumi.Output[Any]
    weights: pulumi.Output[Any]
    caCertificate: pulumi.Output[str]
    phases: pulumi.Output[Any]
