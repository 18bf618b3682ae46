"""Asking a cloud over HTTP: what may be asked twice, how long to wait, and what an answer surely means."""

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from nodestack.clouds.accounts import Frozen
from nodestack.errors import AmbiguousError, CloudError

USER_AGENT = "nodestack"

_REPEATABLE = frozenset({"GET", "DELETE"})
_TOO_MANY = 429
_NOT_FOUND = 404
_UNAUTHORIZED = (401, 403)
_UNCLEAR_CLIENT_ERRORS = frozenset({408, 425})
_SERVER_ERROR = 500
_LONGEST_MESSAGE = 300


class NotFound(CloudError):
    """The cloud surely has no such thing."""


class Patience(Frozen):
    """How long a cloud is asked.

    Attributes:
        timeout_s: Seconds one answer may take.
        attempts: How often a request that may be repeated is made.
        delay_s: Seconds before the second attempt; twice as long before each later one.
        longest_wait_s: A cloud that asks to be left alone for longer than this is not waited for.
    """

    timeout_s: float = 30.0
    attempts: int = 4
    delay_s: float = 0.5
    longest_wait_s: float = 900.0


class Http:
    """One cloud's API. GET and DELETE are repeated, whatever else only where the cloud says that it did nothing.

    Args:
        name: The cloud, as errors call it.
        base_url: Paths are appended to it.
        headers: Returns what every request carries besides, credentials included; called for each request.
        explain: Returns the error a refusal means, None for the usual reading of its status.
        patience: How long to ask.
        sleep: Waits, in seconds.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        name: str,
        base_url: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        explain: Callable[[httpx.Response], CloudError | None] = lambda response: None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._headers = headers
        self._explain = explain
        self._patience = patience or Patience()
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            timeout=self._patience.timeout_s,
            # A cloud does not move; a redirect would carry the key elsewhere.
            follow_redirects=False,
            trust_env=not base_url.startswith("http://"),
            # A kept connection may be dead by the next request, and an order must not be lost to that.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """Make a request and return the answer, which has a status below 300.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: Below the base URL, with a leading slash.
            params: The query.
            body: Sent as JSON.
            timeout_s: Seconds the answer may take, where it is known to be slow.

        Raises:
            NotFound: There is no such thing.
            AmbiguousError: It is unknown whether the request had an effect, or what the cloud holds.
            CloudError: The cloud refused, surely without effect.
        """
        asked = f"{method} {path}"
        attempt = 1
        while True:
            try:
                response = self._client.request(
                    method,
                    path,
                    params=params,
                    json=body,
                    headers=dict(self._headers()),
                    timeout=timeout_s or self._patience.timeout_s,
                )
            except httpx.TransportError as error:
                if method not in _REPEATABLE or attempt >= self._patience.attempts:
                    raise self._lost(asked, method, error) from error
                wait_s: float | None = self._backoff_s(attempt)
            else:
                if response.status_code < 300:  # noqa: PLR2004 - HTTP's own limit of success
                    return response
                wait_s = self._wait_s(response, method, attempt)
                if wait_s is None:
                    raise self._refused(asked, method, response)
            attempt += 1
            self._sleep(wait_s or 0.0)

    def _wait_s(self, response: httpx.Response, method: str, attempt: int) -> float | None:
        """Return the seconds until the request is to be repeated, None where it is not."""
        if attempt >= self._patience.attempts:
            return None
        if response.status_code == _TOO_MANY:
            asked_s = retry_after_s(response)
            wait_s = self._backoff_s(attempt) if asked_s is None else asked_s
            return wait_s if wait_s <= self._patience.longest_wait_s else None
        again = response.status_code >= _SERVER_ERROR and method in _REPEATABLE and self._explain(response) is None
        return self._backoff_s(attempt) if again else None

    def _backoff_s(self, attempt: int) -> float:
        return float(self._patience.delay_s * 2 ** (attempt - 1))

    def _lost(self, asked: str, method: str, error: httpx.TransportError) -> CloudError:
        why = f"{self._name} did not answer {asked} ({_cause(error)})"
        if method != "GET" and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            # Nothing was sent.
            return CloudError(f"{why}: check that this machine reaches it, then run again")
        if method == "GET":
            return AmbiguousError(f"{why}: what exists is unknown, run again")
        return AmbiguousError(f"{why}: whether it did as asked is unknown")

    def _refused(self, asked: str, method: str, response: httpx.Response) -> CloudError:
        explained = self._explain(response)
        if explained is not None:
            return explained
        status = response.status_code
        why = f"{self._name} answered {asked} with {status}: {message_of(response)}"
        if status == _NOT_FOUND:
            return NotFound(why)
        if status in _UNAUTHORIZED:
            return CloudError(f"{why}. Check the key: whether it is right, has not expired, and may do this")
        if status == _TOO_MANY:
            patience = f"{why}. It asks to be left alone for a while: run again later"
            return AmbiguousError(patience) if method in _REPEATABLE else CloudError(patience)
        if status >= _SERVER_ERROR or status in _UNCLEAR_CLIENT_ERRORS:
            return AmbiguousError(why)
        return CloudError(why)


def _cause(error: BaseException) -> str:
    """Return what kept a request from being answered: the kind of error, or that the host is not who it says it is."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return f"its certificate is not to be trusted: {at.verify_message}"
        at = at.__cause__ or at.__context__
    return type(error).__name__


def retry_after_s(response: httpx.Response) -> float | None:
    """Return how many seconds a cloud asks to be left alone: Retry-After in seconds, or retryAfter in the body."""
    found: object = response.headers.get("Retry-After")
    if found is None:
        body = json_of(response)
        found = body.get("retryAfter") if isinstance(body, dict) else None
    try:
        return max(0.0, float(str(found)))
    except ValueError:
        return None


def message_of(response: httpx.Response) -> str:
    """Return what an error body says in one line, without the key should it repeat it.

    Its `error` may be a text, an object with a message, or absent.
    """
    body = json_of(response)
    said: object = None
    if isinstance(body, dict):
        error, said = body.get("error"), body.get("message")
        if isinstance(error, dict):
            said = error.get("message") or error.get("code") or said
        elif isinstance(error, str):
            said = error if not isinstance(said, str) or said == error else f"{error}: {said}"
    text = said if isinstance(said, str) else response.text
    line = " ".join(text.split())
    key = response.request.headers.get("Authorization", "").rpartition(" ")[2]
    if key:
        line = line.replace(key, "[the key]")
    return line[:_LONGEST_MESSAGE] or response.reason_phrase


def json_of(response: httpx.Response) -> Any:
    """Return the body as JSON, None where it is none."""
    try:
        return response.json()
    except ValueError:
        return None
