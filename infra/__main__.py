"""The Pulumi program: settings, plan, components, outputs."""

import json
import os
import sys
from pathlib import Path

import pulumi

from nodestack import naming, purchase
from nodestack.catalog import load_for
from nodestack.clouds.hubs import require_pin
from nodestack.components.gpu_node import GpuNode, GpuNodeArgs
from nodestack.components.outputs import export
from nodestack.components.serving import Serving, ServingArgs
from nodestack.components.weights_volume import WeightsVolume, WeightsVolumeArgs
from nodestack.errors import NodestackError
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan, require
from nodestack.policies.of_stack import facts_of
from nodestack.rendering.brief import brief
from nodestack.settings import LocalCloudSettings, parse

PROJECT = Path(__file__).resolve().parent.parent
# The language host takes this code for "the program has said what is wrong": no traceback, no second line.
SAID = 32


def main() -> None:
    """Declare volume, node and configuration; raises NodestackError before anything is declared."""
    catalog = load_for(PROJECT)
    settings = parse(json.loads(os.environ["PULUMI_CONFIG"]), catalog, PROJECT)
    plan = require(make_plan(settings.request, catalog))
    project, stack = pulumi.get_project(), pulumi.get_stack()
    cloud = settings.cloud
    account = naming.account(cloud, PROJECT)
    bought = purchase.of(settings, catalog)
    if bought is not None:
        plan = make_plan(purchase.priced_today(settings.request, account, bought, pulumi.log.warn), catalog)
    if pulumi.runtime.is_dry_run():
        pulumi.log.info(brief(plan))
    if not require_pin(account, settings.model.hub, plan.repository, plan.pin, settings.hub_token):
        pulumi.log.warn(f"{settings.model.hub} could not be asked for {plan.repository} from here; the node will ask")
    if settings.node.purpose == "production" and settings.gateway.is_open and not settings.is_on_this_machine:
        pulumi.log.warn("the whole internet may connect to the gateway: set nodestack:gateway.allowed_cidrs")
    ssh_private_key = pulumi.Output.secret(settings.ssh_private_key.get_secret_value())

    volume = WeightsVolume(
        "weights",
        WeightsVolumeArgs(
            account=account,
            name=naming.volume_name(project, stack),
            size_gib=settings.volume.size_gib,
            purchase=bought,
            judged=facts_of(settings, plan, catalog).inputs(),
        ),
    )
    node = GpuNode(
        "node",
        GpuNodeArgs(
            account=account,
            name=naming.node_name(project, stack),
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
        "serving",
        ServingArgs(
            account=account,
            volume=volume,
            node=node,
            ssh_private_key=ssh_private_key,
            api_keys=pulumi.Output.secret(settings.keys),
            hub_token=pulumi.Output.secret(token.get_secret_value()) if token else None,
            alert_secret=pulumi.Output.secret(alert_secret.get_secret_value()) if alert_secret else None,
            document=node_document(settings, plan, catalog),
            manifest_sha256=settings.model.manifests.get(plan.pin, ""),
        ),
    )
    export(settings, plan, volume, node, serving)


try:
    main()
except NodestackError as error:
    pulumi.log.error(str(error))
    sys.exit(SAID)
