"""Everything a stack may configure: frozen, documented, and refused as a whole when any of it is wrong."""

from nodestack.settings.parsing import NAMESPACE, parse, validate
from nodestack.settings.sections import (
    CloudSettings,
    EngineSettings,
    ModelSettings,
    NodeChoice,
    NodeSettings,
    Profile,
    Purpose,
    Request,
    Section,
    ServingSettings,
    Settings,
    VolumeSettings,
    WorkloadSettings,
)

__all__ = [
    "NAMESPACE",
    "CloudSettings",
    "EngineSettings",
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
