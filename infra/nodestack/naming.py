"""The exact names of what a stack owns: deterministic, so that whatever exists is found again by them."""

from pathlib import Path

from nodestack.clouds.base import Account, LocalAccount
from nodestack.settings import CloudSettings, LocalCloudSettings


def node_name(project: str, stack: str) -> str:
    """Return the name of a stack's node."""
    return f"{project}-{stack}-node"


def volume_name(project: str, stack: str) -> str:
    """Return the name of a stack's weights volume."""
    return f"{project}-{stack}-weights"


def account(cloud: CloudSettings, project: Path) -> Account:
    """Return the account that a stack's settings name.

    Args:
        cloud: The stack's cloud.
        project: Directory of Pulumi.yaml, which relative directories start from.
    """
    if isinstance(cloud, LocalCloudSettings):
        return LocalAccount(directory=str(project / cloud.directory))
    return cloud
