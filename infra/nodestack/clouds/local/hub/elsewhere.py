"""Where large files come from when a hub only knows their address, as the Hub does: a store, or a plain server."""

import time
from urllib.parse import quote, urlsplit, urlunsplit

from nodestack.clouds.base import Frozen


class Elsewhere(Frozen):
    """What a hub answers instead of a large file; by default nothing, and it sends the file.

    Attributes:
        base_url: A server that has `<organisation>/<name>/<commit>/<path>`.
        signed_for_s: Without one: seconds for which an address on this very server, called localhost, is valid.
    """

    base_url: str = ""
    signed_for_s: float | None = None

    def address(self, asked: str, place: str) -> str | None:
        """Return where a file is to be had now, None where the hub sends it itself.

        Args:
            asked: URL that the hub was asked for.
            place: `<organisation>/<name>/<commit>/<path>`.
        """
        if self.base_url:
            return f"{self.base_url}/{quote(place)}"
        if self.signed_for_s is None:
            return None
        hub = urlsplit(asked)
        until = f"{time.time() + self.signed_for_s:.3f}"
        # Another origin on the same port: a client's token is not for it.
        return urlunsplit((hub.scheme, f"localhost:{hub.port}", f"/signed/{until}/{quote(place)}", "", ""))
