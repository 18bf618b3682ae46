"""The weights volume: protected, and dependent on nothing that costs money."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from nodestack.clouds.base import Account
from nodestack.components.purchase import Purchase
from nodestack.components.resources import Volume
from nodestack.policies.facts import FACTS, FIRST_COMPONENT


@dataclass(frozen=True)
class WeightsVolumeArgs:
    """What a weights volume is made from.

    Attributes:
        account: The cloud account it lives in.
        name: Exact name, found again by it.
        size_gib: Size in GiB.
        purchase: The machine it is for, which must reach it; None where the cloud has one thing only.
        judged: What policies judge of the endpoint, as `policies.facts.Facts` names it. It is said here because
            all else waits for this component: what is stopped is stopped before anything exists.
    """

    account: Account
    name: str
    size_gib: int
    purchase: Purchase | None = None
    judged: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)


class WeightsVolume(pulumi.ComponentResource):
    """A volume that no teardown, replacement or preemption touches.

    Outputs:
        volume_id: The cloud's id.
        handle: What a node may see of its name.
        summary: Id, size and protection, as the stack shows them.
    """

    volume_id: pulumi.Output[str]
    handle: pulumi.Output[str]
    summary: dict[str, Any]

    def __init__(self, name: str, args: WeightsVolumeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        judged = {FACTS: dict(args.judged)}
        super().__init__(FIRST_COMPONENT, name, judged, opts)
        volume = Volume(
            name,
            {
                "account": args.account.model_dump(),
                "name": args.name,
                "sizeGib": args.size_gib,
                **(args.purchase.inputs() if args.purchase else {}),
            },
            pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.volume_id = volume.volumeId
        self.handle = volume.handle
        self.summary = {"id": volume.volumeId, "size_gib": volume.sizeGib, "protected": True}
        # Policies that look at the whole stack are shown outputs only.
        self.register_outputs({"volume_id": self.volume_id, **judged})
