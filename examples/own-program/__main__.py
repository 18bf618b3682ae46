"""Two endpoints: one that thinks long, one that answers soon, each with a volume and a node of its own."""

import json
import os
from pathlib import Path

import pulumi

from nodestack import endpoint
from nodestack.catalog import load_for
from nodestack.components.outputs import endpoint_url
from nodestack.settings import Settings, parse
from nodestack.settings.secrecy import require_encrypted

HERE = Path(__file__).resolve().parent
PROFILES = ("reasoning", "ttft")


def with_profile(settings: Settings, profile: str) -> Settings:
    """Return settings that aim at another service level."""
    serving = settings.serving.model_copy(update={"profile": profile})
    return settings.model_copy(update={"serving": serving})


catalog = load_for(HERE)
config = json.loads(os.environ["PULUMI_CONFIG"])
require_encrypted(config, pulumi.runtime.is_config_secret)
shared = parse(config, catalog, HERE)
for profile in PROFILES:
    planned = endpoint.planned(with_profile(shared, profile), catalog, HERE, pulumi.log.warn)
    made = endpoint.declare(planned, name=profile)
    url = made.node.node.address.apply(lambda address: endpoint_url(shared, address))
    pulumi.export(f"{profile}_url", url)
    pulumi.export(f"{profile}_ca_certificate", made.serving.configuration.caCertificate)
