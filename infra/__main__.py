"""The Pulumi program: settings, plan, components, outputs."""

import json
import os
import sys
from pathlib import Path

import pulumi

from nodestack import endpoint
from nodestack.catalog import load_for
from nodestack.clouds.hubs import require_pin
from nodestack.components.outputs import export
from nodestack.errors import NodestackError
from nodestack.rendering.brief import brief
from nodestack.settings import parse
from nodestack.settings.secrecy import require_encrypted

PROJECT = Path(__file__).resolve().parent.parent
# The language host takes this code for "the program has said what is wrong": no traceback, no second line.
SAID = 32


def main() -> None:
    """Declare volume, node and configuration; raises NodestackError before anything is declared."""
    catalog = load_for(PROJECT)
    config = json.loads(os.environ["PULUMI_CONFIG"])
    require_encrypted(config, pulumi.runtime.is_config_secret)
    settings = parse(config, catalog, PROJECT)
    planned = endpoint.planned(settings, catalog, PROJECT, pulumi.log.warn)
    plan = planned.plan
    if pulumi.runtime.is_dry_run():
        pulumi.log.info(brief(plan))
    if not require_pin(planned.account, settings.model.hub, plan.repository, plan.pin, settings.hub_token):
        pulumi.log.warn(f"{settings.model.hub} could not be asked for {plan.repository} from here; the node will ask")
    if settings.node.purpose == "production" and settings.gateway.is_open and not settings.is_on_this_machine:
        pulumi.log.warn("the whole internet may connect to the gateway: set nodestack:gateway.allowed_cidrs")
    made = endpoint.declare(planned)
    export(settings, plan, made.volume, made.node, made.serving)


try:
    main()
except NodestackError as error:
    pulumi.log.error(str(error))
    sys.exit(SAID)
