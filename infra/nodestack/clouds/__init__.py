"""One module a cloud behind one protocol: thin clients, no decisions."""

from nodestack.clouds.base import Account, Cloud
from nodestack.errors import CloudError


def open_account(account: Account) -> Cloud:
    """Return the client of an account; opening one neither asks nor changes anything."""
    match account.kind:
        case "local":
            # Imported when needed: the plugin starts for every `pulumi up` and mostly needs one cloud.
            from nodestack.clouds.local import LocalCloud  # noqa: PLC0415

            return LocalCloud(account)
        case "verda":
            from nodestack.clouds.verda import VerdaCloud  # noqa: PLC0415

            return VerdaCloud(account)
        case "ssh":
            from nodestack.clouds.ssh import SshCloud  # noqa: PLC0415

            return SshCloud(account)
        case "spheron":
            from nodestack.clouds.spheron import SpheronCloud  # noqa: PLC0415

            return SpheronCloud(account)
        case _:
            raise CloudError(f"this version makes nothing on {account.kind}: choose another cloud")
