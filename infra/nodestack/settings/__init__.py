"""Everything a stack may configure: frozen, documented, and refused as a whole when any of it is wrong."""

from nodestack.settings.gateway import GatewaySettings
from nodestack.settings.parsing import NAMESPACE, parse, validate
from nodestack.settings.sections import (
    EngineSettings,
    ModelSettings,
    NodeChoice,
    NodeSettings,
    Profile,
    Purpose,
    Request,
    Section,
    ServingSettings,
    VolumeSettings,
    WorkloadSettings,
)
from nodestack.settings.stack import CloudSettings, LocalCloudSettings, Settings

__all__ = [
    "NAMESPACE",
    "CloudSettings",
    "EngineSettings",
    "GatewaySettings",
    "LocalCloudSettings",
    "ModelSettings",
    "NodeChoice",
    "NodeSettings",
    "Profile",
    "Purpose",
    "Request",
    "Section",
    "ServingSettings",
    "Settings",
    "VolumeSettings",
    "WorkloadSettings",
    "parse",
    "validate",
]
