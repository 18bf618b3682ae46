"""One endpoint from settings to resources: what our own program declares, and a Pulumi program of yours may."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pulumi

from nodestack import naming, purchase
from nodestack.catalog import Catalog
from nodestack.clouds.base import Account
from nodestack.components.gpu_node import GpuNode, GpuNodeArgs
from nodestack.components.purchase import Purchase
from nodestack.components.serving import Serving, ServingArgs
from nodestack.components.weights_volume import WeightsVolume, WeightsVolumeArgs
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan, require
from nodestack.planning.result import Plan
from nodestack.policies.of_stack import facts_of
from nodestack.settings import LocalCloudSettings, Settings


@dataclass(frozen=True)
class Planned:
    """What is declared, before any of it is.

    Attributes:
        settings: What was asked for.
        plan: What that makes, at today's price.
        account: Where it is made.
        bought: Which machine is bought; None where the cloud has one thing only.
        catalog: Facts.
    """

    settings: Settings
    plan: Plan
    account: Account
    bought: Purchase | None
    catalog: Catalog


@dataclass(frozen=True)
class Endpoint:
    """What was declared: a volume, the node that has it, and what was made of the node."""

    volume: WeightsVolume
    node: GpuNode
    serving: Serving


def planned(settings: Settings, catalog: Catalog, directory: Path, tell: Callable[[str], None]) -> Planned:
    """Return what settings make.

    Args:
        settings: What is asked for.
        catalog: Facts.
        directory: Directory of Pulumi.yaml, which relative directories start from.
        tell: Takes a line where the cloud named no price.

    Raises:
        PlanError: It cannot work.
        CloudError: The shape is of several machines.
    """
    plan = require(make_plan(settings.request, catalog))
    account = naming.account(settings.cloud, directory)
    bought = purchase.of(settings, catalog)
    if bought is not None:
        plan = make_plan(purchase.priced_today(settings.request, account, bought, tell), catalog)
    return Planned(settings, plan, account, bought, catalog)


def declare(what: Planned, name: str = "") -> Endpoint:
    """Declare volume, node and configuration.

    Args:
        what: The planned endpoint.
        name: Tells it from others of the same stack; "" for the only one.

    Raises:
        SettingsError: No cloud takes the names that would come of it.
    """
    settings, bought = what.settings, what.bought
    stack = "-".join(filter(None, (pulumi.get_stack(), name)))
    called = (lambda part: f"{name}-{part}") if name else str
    ssh_private_key = pulumi.Output.secret(settings.ssh_private_key.get_secret_value())
    cloud = settings.cloud
    volume = WeightsVolume(
        called("weights"),
        WeightsVolumeArgs(
            account=what.account,
            name=naming.volume_name(pulumi.get_project(), stack),
            size_gib=settings.volume.size_gib,
            purchase=bought,
            judged=facts_of(settings, what.plan, what.catalog).inputs(),
        ),
    )
    node = GpuNode(
        called("node"),
        GpuNodeArgs(
            account=what.account,
            name=naming.node_name(pulumi.get_project(), stack),
            shape=settings.node.shape,
            volume_id=volume.volume_id,
            ssh_private_key=ssh_private_key,
            hardware_profile=cloud.hardware_profile if isinstance(cloud, LocalCloudSettings) else "",
            ready_timeout_s=settings.node.ready_timeout_s,
            purchase=bought,
        ),
    )
    token, alert_secret = settings.hub_token, settings.alert_secret
    serving = Serving(
        called("serving"),
        ServingArgs(
            account=what.account,
            volume=volume,
            node=node,
            ssh_private_key=ssh_private_key,
            api_keys=pulumi.Output.secret(settings.keys),
            hub_token=pulumi.Output.secret(token.get_secret_value()) if token else None,
            alert_secret=pulumi.Output.secret(alert_secret.get_secret_value()) if alert_secret else None,
            document=node_document(settings, what.plan, what.catalog),
            manifest_sha256=settings.model.manifests.get(what.plan.pin, ""),
        ),
    )
    return Endpoint(volume, node, serving)
