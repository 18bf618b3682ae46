"""Ask a hub, before anything is created, whether it has what a stack pins."""

from http.client import HTTPException
from ipaddress import ip_address
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pydantic import SecretStr

from nodestack.clouds.accounts import is_simulated
from nodestack.clouds.base import Account
from nodestack.errors import CatalogError

_TIMEOUT_S = 10.0
_USER_AGENT = "nodestack"
_REFUSALS = {
    "RepoNotFound": "there is no such repository, or the token may not see it",
    "RevisionNotFound": "the repository has no such commit",
    "GatedRepo": "the repository is gated: accept its terms there and set nodestack:hub_token",
}


def require_pin(account: Account, endpoint: str, repository: str, commit: str, token: SecretStr | None) -> bool:
    """Return whether the hub confirmed the pin; False where it could not be asked from here.

    A node of this machine, of the local cloud or a simulated one, has a hub on its own loopback, whose repositories are
    on this machine's disk.

    Args:
        account: Where the node will live.
        endpoint: Base URL of the hub, as the node will use it.
        repository: Repository id.
        commit: 40 hex digits.
        token: Sent as bearer token, where there is one.

    Raises:
        CatalogError: The hub says that it has no such repository or commit.
    """
    if (account.kind == "local" or is_simulated(account)) and _is_loopback(endpoint):
        code = _ask_disk(repository, commit)
    else:
        code = _ask(endpoint, repository, commit, token)
    if code in _REFUSALS:
        raise CatalogError(f"{repository} at commit {commit} cannot be had from {endpoint}: {_REFUSALS[code]}")
    return code == ""


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ask_disk(repository: str, commit: str) -> str:
    # Imported when needed: a stack of another cloud has no use for the tiny model.
    from nodestack.clouds.local import tiny_model  # noqa: PLC0415
    from nodestack.clouds.local.hub import store  # noqa: PLC0415

    found = store.find(tiny_model.repository().parent.parent, repository)
    if found is None:
        return "RepoNotFound"
    return "" if found.resolve(commit) == commit else "RevisionNotFound"


def _ask(endpoint: str, repository: str, commit: str, token: SecretStr | None) -> str:
    # The standard library's client: it is there in a tenth of the time, and every preview waits for it.
    request = Request(f"{endpoint.rstrip('/')}/api/models/{repository}/revision/{commit}")  # noqa: S310 - checked below
    if request.type not in {"http", "https"}:
        raise CatalogError(f"model.hub is {endpoint!r}: a hub is asked over https or http")
    request.add_header("User-Agent", _USER_AGENT)
    if token is not None:
        # Unredirected: wherever the hub may send us, the token is not for there.
        request.add_unredirected_header("Authorization", f"Bearer {token.get_secret_value()}")
    try:
        with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - checked above
            return ""
    except HTTPError as error:
        with error:
            return str(error.headers.get("X-Error-Code", f"HTTP {error.code}"))
    except (OSError, HTTPException) as error:
        return type(error).__name__
