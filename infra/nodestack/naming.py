"""The exact names of what a stack owns: deterministic, so that whatever exists is found again by them."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nodestack.clouds.base import Account, LocalAccount, Name
from nodestack.errors import SettingsError
from nodestack.settings import CloudSettings, LocalCloudSettings


def node_name(project: str, stack: str) -> str:
    """Return the name of a stack's node.

    Raises:
        SettingsError: No cloud takes that name.
    """
    return _name(project, stack, "node")


def volume_name(project: str, stack: str) -> str:
    """Return the name of a stack's weights volume.

    Raises:
        SettingsError: No cloud takes that name.
    """
    return _name(project, stack, "weights")


def account(cloud: CloudSettings, project: Path) -> Account:
    """Return the account that a stack's settings name.

    Args:
        cloud: The stack's cloud.
        project: Directory of Pulumi.yaml, which relative directories start from.
    """
    if isinstance(cloud, LocalCloudSettings):
        return LocalAccount(directory=str(project / cloud.directory))
    return cloud


def _name(project: str, stack: str, what: str) -> str:
    name = f"{project}-{stack}-{what}"
    try:
        return TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise SettingsError(
            f"stack {stack} would have something called {name!r}: clouds take at most 50 lower-case letters, digits "
            "and hyphens. Call the stack otherwise"
        ) from None
