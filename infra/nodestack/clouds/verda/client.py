"""Verda's API call by call: each method is one request, typed both ways; signs in when it must."""

import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import RLock
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from nodestack.clouds.accounts import VerdaAccount
from nodestack.clouds.http import Http, NotFound, Patience, json_of, message_of
from nodestack.clouds.verda import api, orders
from nodestack.errors import AmbiguousError, CloudError, InsufficientBalance, OutOfStock

NAME = "Verda"

_ORDER_TIMEOUT_S = 90.0
_SIGN_IN = "/oauth2/token"
_SIGN_IN_ATTEMPTS = 3
_SPARE_S = 60.0
_NOTHING_LEFT = (
    "out of stock",
    "no capacity",
    "not available",
    "unavailable instance",
    "not enough",
    "insufficient capacity",
)

Read = TypeVar("Read")


class _SignedOut(CloudError):
    """The token is not good any more; the request had no effect."""


class VerdaClient:
    """Thin: no decisions, no waiting. Errors are those of `Http.request`, with Verda's codes read.

    Args:
        account: Where to ask, and which environment variables hold id and secret; they are read at the first request.
        patience: How long to ask.
        clock: Seconds that only go up; tells when a token is used up.
        sleep: Waits, in seconds.
    """

    def __init__(
        self,
        account: VerdaAccount,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._clock, self._sleep = clock, sleep
        self._lock = RLock()
        self._signing_in = False
        self._token: tuple[SecretStr, float] | None = None
        self._http = Http(
            NAME, account.base_url, headers=self._headers, explain=self._explain, patience=patience, sleep=sleep
        )

    def balance(self) -> api.Balance:
        """Return what is left of the prepaid money."""
        return self._read("/balance", TypeAdapter(api.Balance))

    def instance_types(self) -> tuple[api.InstanceType, ...]:
        """Return what can be rented, priced in USD."""
        return self._read("/instance-types", TypeAdapter(tuple[api.InstanceType, ...]), {"currency": "usd"})

    def availability(self, *, is_spot: bool) -> tuple[api.Availability, ...]:
        """Return what each location can deliver now."""
        # Verda's Python client says isSpot, its Go client is_spot; a server that knows one ignores the other.
        word = "true" if is_spot else "false"
        params = {"isSpot": word, "is_spot": word}
        return self._read("/instance-availability", TypeAdapter(tuple[api.Availability, ...]), params)

    def instances(self) -> tuple[api.Instance, ...]:
        """Return every instance that is not deleted; the API has no pages."""
        return self._read("/instances", TypeAdapter(tuple[api.Instance, ...]))

    def instance(self, instance_id: str) -> api.Instance | None:
        """Return one instance, None when there surely is none."""
        return self._find(f"/instances/{_segment(instance_id)}", TypeAdapter(api.Instance))

    def create_instance(self, order: orders.NewInstance) -> str:
        """Order an instance and return its id."""
        return self._made("/instances", order, timeout_s=_ORDER_TIMEOUT_S)

    def delete_instance(self, instance_id: str, volume_ids: tuple[str, ...]) -> None:
        """Delete an instance and exactly these volumes, for good.

        Raises:
            CloudError: Verda refused, be it inside an answer that says that it accepted.
        """
        action = orders.InstanceAction(
            id=(instance_id,), action="delete", volume_ids=volume_ids, delete_permanently=bool(volume_ids)
        )
        response = self._ask("PUT", "/instances", body=action.body())
        body = json_of(response)
        if not isinstance(body, list):
            return
        for result in _parsed(TypeAdapter(tuple[api.ActionResult, ...]), body, "PUT /instances"):
            gone = result.status_code == HTTPStatus.NOT_FOUND
            if result.error and not gone and result.instance_id in ("", instance_id):
                raise CloudError(f"{NAME} did not delete instance {instance_id}: {result.error}. Run again")

    def volumes(self) -> tuple[api.Volume, ...]:
        """Return every volume that is not in the trash; the API has no pages."""
        return self._read("/volumes", TypeAdapter(tuple[api.Volume, ...]))

    def volume(self, volume_id: str) -> api.Volume | None:
        """Return one volume, None when there surely is none."""
        return self._find(f"/volumes/{_segment(volume_id)}", TypeAdapter(api.Volume))

    def create_volume(self, order: orders.NewVolume) -> str:
        """Make a volume and return its id."""
        return self._made("/volumes", order)

    def act_on_volume(self, action: orders.VolumeAction) -> None:
        """Attach, detach, resize or delete a volume."""
        self._ask("PUT", "/volumes", body=action.body())

    def ssh_keys(self) -> tuple[api.SshKey, ...]:
        """Return every SSH key of the project."""
        return self._read("/sshkeys", TypeAdapter(tuple[api.SshKey, ...]))

    def create_ssh_key(self, name: str, key: str) -> str:
        """Register a public key and return its id."""
        return self._id_in(self._ask("POST", "/sshkeys", body={"name": name, "key": key}), "POST /sshkeys")

    def scripts(self) -> tuple[api.Script, ...]:
        """Return every startup script of the project, without its text."""
        return self._read("/scripts", TypeAdapter(tuple[api.Script, ...]))

    def create_script(self, name: str, script: SecretStr) -> str:
        """Register a startup script and return its id."""
        body = {"name": name, "script": script.get_secret_value()}
        return self._id_in(self._ask("POST", "/scripts", body=body), "POST /scripts")

    def delete_script(self, script_id: str) -> None:
        """Delete a startup script; one that is gone is no error."""
        try:
            self._ask("DELETE", f"/scripts/{_segment(script_id)}")
        except NotFound:
            return

    def _find(self, path: str, kind: TypeAdapter[Read]) -> Read | None:
        try:
            return self._read(path, kind)
        except NotFound:
            return None

    def _read(self, path: str, kind: TypeAdapter[Read], params: Mapping[str, str] | None = None) -> Read:
        return _parsed(kind, json_of(self._ask("GET", path, params=params)), f"GET {path}")

    def _made(self, path: str, order: orders.Order, timeout_s: float | None = None) -> str:
        return self._id_in(self._ask("POST", path, body=order.body(), timeout_s=timeout_s), f"POST {path}")

    def _id_in(self, response: httpx.Response, asked: str) -> str:
        """Return the id in an answer, which comes as plain text, as a JSON text or as a JSON object."""
        body = json_of(response)
        found = body.get("id") if isinstance(body, dict) else body if isinstance(body, str) else response.text
        made = found.strip() if isinstance(found, str) else ""
        if not made or any(letter.isspace() or letter in "<>{}/" for letter in made):
            raise AmbiguousError(f"{NAME} accepted {asked} and told no id: what it made is found again by its name")
        return made

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, params=params, body=body, timeout_s=timeout_s)
        except _SignedOut:
            # A token may be withdrawn before it is used up; what it was refused for had no effect.
            self._token = None
            return self._http.request(method, path, params=params, body=body, timeout_s=timeout_s)

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if self._signing_in:
                return {}
            if self._token is None or self._clock() >= self._token[1]:
                self._signing_in = True
                try:
                    self._token = self._sign_in()
                finally:
                    self._signing_in = False
            return {"Authorization": f"Bearer {self._token[0].get_secret_value()}"}

    def _sign_in(self) -> tuple[SecretStr, float]:
        body = {
            "grant_type": "client_credentials",
            "client_id": _environment(self._account.client_id_variable),
            "client_secret": _environment(self._account.client_secret_variable),
        }
        attempt = 1
        while True:
            asked_at = self._clock()
            try:
                response = self._http.request("POST", _SIGN_IN, body=body)
                break
            except AmbiguousError:
                # Signing in twice does no harm.
                if attempt >= _SIGN_IN_ATTEMPTS:
                    raise
            self._sleep(attempt)
            attempt += 1
        token = _parsed(TypeAdapter(api.Token), json_of(response), f"POST {_SIGN_IN}")
        return token.access_token, asked_at + max(token.expires_in - _SPARE_S, token.expires_in / 2)

    def _explain(self, response: httpx.Response) -> CloudError | None:
        if not response.request.url.path.endswith(_SIGN_IN):
            return explain(response)
        if response.status_code == HTTPStatus.NOT_FOUND:
            # No NotFound: it would be read as "there is no such instance".
            return CloudError(f"{self._account.base_url} takes no sign-in: check the base URL of the account")
        if response.status_code not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return None
        return CloudError(
            f"{NAME} does not accept the credentials in {self._account.client_id_variable} and "
            f"{self._account.client_secret_variable} ({response.status_code}): make new ones in its console"
        )


def explain(response: httpx.Response) -> CloudError | None:
    """Return the error that one of Verda's refusals means, None for the usual reading of its status."""
    body = json_of(response)
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    said = message_of(response)
    status = response.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        return _SignedOut(f"{NAME} does not accept the token it gave out: {said}. Check the project's credentials")
    if status == HTTPStatus.NOT_FOUND and code != api.NOT_FOUND:
        return AmbiguousError(f"{NAME} knows no such call ({said}): check the base URL of the account")
    if code == api.INSUFFICIENT_FUNDS:
        return InsufficientBalance(f"{NAME} refuses, the project's balance does not suffice: {said}. Top it up")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if (refused or code == api.SERVICE_UNAVAILABLE) and any(words in said.lower() for words in _NOTHING_LEFT):
        return OutOfStock(f"{NAME} has none left: {said}. Another location or instance type may do")
    return None


def _environment(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CloudError(
            f"{variable} is not set: make credentials in {NAME}'s console and set {variable} in the environment of "
            "this command"
        )
    return value


def _parsed(kind: TypeAdapter[Read], body: object, asked: str) -> Read:
    try:
        return kind.validate_python(body)
    except ValidationError as error:
        # Without what was said: an answer may hold secrets.
        where = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['type']}" for one in error.errors()[:3])
        raise AmbiguousError(f"{NAME} answered {asked} with something this version cannot read ({where})") from None


def _segment(an_id: str) -> str:
    """Return an id as it may stand in a path."""
    if not an_id or not all(letter.isalnum() or letter in "-_" for letter in an_id):
        raise CloudError(f"{an_id!r} is no id of {NAME}'s")
    return an_id
