"""The body of a file, over plain HTTP/1.1: bytes pass from the socket to whoever reads them with one copy.

The hub's own client parses 64 KiB at a time, which takes a core for half a gigabyte a second. The standard one costs
a tenth of that; what it lacks is here: redirects, proxies, and a token that goes to neither.
"""

import http.client
import ssl
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from urllib.parse import SplitResult

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
# Fewer, larger ones: after each, threads wait for the interpreter's lock. Larger than this leaves the cores' caches.
PIECE_BYTES = 1 << 20


class Broken(Exception):
    """The connection failed, or what came over it is not HTTP."""


class Body:
    """One answer, read piece by piece; use it in a `with` statement.

    Attributes:
        status: HTTP status.
        headers: Its headers.
        redirected: Whether another server than the one that was asked gave it.
    """

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, *, redirected: bool
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self.redirected = redirected
        self._connection = connection
        self._response = response

    def __enter__(self) -> "Body":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()
        self._connection.close()

    def read(self, most: int = PIECE_BYTES) -> bytes:
        """Return what has come in, at most so many bytes; nothing at the end.

        Raises:
            Broken: The connection was cut, or was silent for too long.
        """
        try:
            return self._response.read1(min(most, PIECE_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from error


def get(url: str, headers: Mapping[str, str], token: str | None, timeout_s: float) -> Body:
    """Ask for a file, following redirects.

    Args:
        url: Absolute, http or https.
        headers: Sent to each server.
        token: Sent as bearer token to the server of `url`, and to no other.
        timeout_s: Seconds of silence after which a connection counts as cut.

    Raises:
        Broken: Nothing answers, or not in HTTP.
    """
    asked = origin = urllib.parse.urlsplit(url)
    for _ in range(_MOST_REDIRECTS):
        at_home = _server(asked) == _server(origin)
        authorization = {"Authorization": f"Bearer {token}"} if token and at_home else {}
        connection, path, for_proxy = _connect(asked, timeout_s)
        try:
            connection.request("GET", path, headers={**headers, **authorization, **for_proxy})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise _broken(error) from error
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or not location:
            return Body(connection, response, redirected=not at_home)
        response.close()
        connection.close()
        asked = urllib.parse.urlsplit(urllib.parse.urljoin(asked.geturl(), location))
    raise Broken(f"{_MOST_REDIRECTS} redirects in a row")


def _connect(asked: SplitResult, timeout_s: float) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Return a connection for an address, the path to ask for on it, and what a proxy wants to see."""
    scheme, host, port = _server(asked)
    path = urllib.parse.urlunsplit(("", "", asked.path or "/", asked.query, ""))
    proxy = urllib.parse.urlsplit(
        "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme, "")
    )
    if not proxy.hostname:
        return _connection(scheme, host, port, timeout_s), path, {}
    login = f"{urllib.parse.unquote(proxy.username or '')}:{urllib.parse.unquote(proxy.password or '')}"
    seen = {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"} if proxy.username else {}
    way = _connection(scheme, proxy.hostname, proxy.port or 80, timeout_s)
    if scheme == "https":
        way.set_tunnel(host, port, headers=seen)
        return way, path, {}
    return way, asked.geturl(), seen


def _connection(scheme: str, host: str, port: int, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_trust())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _server(asked: SplitResult) -> tuple[str, str, int]:
    if asked.scheme not in ("http", "https") or not asked.hostname:
        raise Broken(f"an address that is neither http nor https: {asked.scheme or 'no scheme'}")
    try:
        return asked.scheme, asked.hostname, asked.port or (443 if asked.scheme == "https" else 80)
    except ValueError as error:
        raise Broken(f"an address with a port that is none ({error})") from error


def _broken(error: Exception) -> Broken:
    return Broken(str(error) or type(error).__name__)
