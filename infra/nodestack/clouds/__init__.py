"""One module a cloud behind one protocol: thin clients, no decisions."""

from typing import TYPE_CHECKING

from nodestack.clouds.base import Account, Cloud
from nodestack.errors import CloudError

if TYPE_CHECKING:
    # The plugin starts without what asks over HTTP.
    from nodestack.clouds.http import Patience


def open_account(account: Account, patience: "Patience | None" = None) -> Cloud:
    """Return the client of an account; opening one neither asks nor changes anything.

    Args:
        account: Where it is.
        patience: How long a cloud is asked over HTTP; left out, as long as an order deserves.
    """
    match account.kind:
        case "local":
            # Imported when needed: the plugin starts for every `pulumi up` and mostly needs one cloud.
            from nodestack.clouds.local import LocalCloud  # noqa: PLC0415

            return LocalCloud(account)
        case "verda":
            from nodestack.clouds.verda import VerdaCloud  # noqa: PLC0415

            if patience is not None:
                from nodestack.clouds.verda.client import VerdaClient  # noqa: PLC0415

                return VerdaCloud(account, VerdaClient(account, patience=patience))
            return VerdaCloud(account)
        case "ssh":
            from nodestack.clouds.ssh import SshCloud  # noqa: PLC0415

            return SshCloud(account)
        case "spheron":
            from nodestack.clouds.spheron import SpheronCloud  # noqa: PLC0415

            return SpheronCloud(account, patience)
        case _:
            raise CloudError(f"this version makes nothing on {account.kind}: choose another cloud")
