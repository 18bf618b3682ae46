"""Spheron over HTTP: one method a call of its API, and what its refusals mean."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from nodestack.clouds.accounts import SpheronAccount
from nodestack.clouds.http import Http, NotFound, Patience, json_of, message_of
from nodestack.clouds.spheron.api import Balances, Deployment, OfferGroup, Told, TooYoung, Volume
from nodestack.errors import (
    AmbiguousError,
    CloudError,
    InsufficientBalance,
    MinimumRuntime,
    NameTaken,
    OutOfStock,
    VolumeInUse,
)

T = TypeVar("T", bound=Told)

# A deployment is allocated before it is answered, which takes 20 to 40 s.
_ORDER_TIMEOUT_S = 120.0
_PAGE_SIZE = 100
_LIST_ATTEMPTS = 3
_CLIENT_ERRORS = range(400, 500)
_SAYINGS: tuple[tuple[str, type[CloudError]], ...] = (
    ("not enough stock", OutOfStock),
    ("out of stock", OutOfStock),
    ("no longer available", OutOfStock),
    ("name is not available", NameTaken),
    ("name already exists", NameTaken),
    ("insufficient balance", InsufficientBalance),
    ("insufficient funds", InsufficientBalance),
    ("is attached", VolumeInUse),
    ("must be detached", VolumeInUse),
)
_ENDED_ALREADY = "already been terminated"
_PAYMENT_REQUIRED = 402


class SpheronClient:
    """One method a call.

    Args:
        account: Where, and in which variable the key is; read when the first call is made.
        patience: How long to ask.
    """

    def __init__(self, account: SpheronAccount, patience: Patience | None = None) -> None:
        self._account = account
        self._http = Http("Spheron", account.base_url, headers=self._headers, explain=explain, patience=patience)

    def offer_groups(self, search: str) -> list[OfferGroup]:
        """Return all offers whose GPU matches a word, by GPU type."""
        return self._pages("/api/gpu-offers", {"search": search}, OfferGroup, key=lambda group: group.gpu_type)

    def balances(self) -> Balances:
        """Return what the teams of the key have left."""
        return self._one("GET", "/api/balance", Balances)

    def deployments(self, team_id: str) -> list[Deployment]:
        """Return all deployments of a team, ended ones included."""
        return self._pages("/api/deployments", {"teamId": team_id}, Deployment, key=lambda one: one.id)

    def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment, None where there is surely none of this id."""
        return self._read(f"/api/deployments/{deployment_id}", Deployment)

    def deploy(self, body: Mapping[str, Any]) -> Deployment:
        """Order a deployment; never asked twice but after 429, since each request may make a billed machine."""
        return self._one("POST", "/api/deployments", Deployment, body=body, timeout_s=_ORDER_TIMEOUT_S)

    def terminate(self, deployment_id: str) -> None:
        """Terminate a deployment; one that has ended or does not exist is no error."""
        try:
            self._http.request("DELETE", f"/api/deployments/{deployment_id}")
        except NotFound:
            return

    def volumes(self, team_id: str) -> list[Volume]:
        """Return all volumes of a team."""
        return self._pages("/api/volumes", {"teamId": team_id}, Volume, key=lambda one: one.id)

    def volume(self, volume_id: str) -> Volume | None:
        """Return a volume, None where there is surely none of this id."""
        return self._read(f"/api/volumes/{volume_id}", Volume)

    def make_volume(self, body: Mapping[str, Any]) -> Volume:
        """Make a volume."""
        return self._one("POST", "/api/volumes", Volume, body=body, timeout_s=_ORDER_TIMEOUT_S)

    def resize_volume(self, volume_id: str, size_gb: int) -> Volume:
        """Change a volume's size."""
        return self._one("PATCH", f"/api/volumes/{volume_id}", Volume, body={"sizeInGb": size_gb})

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; one that does not exist is no error."""
        try:
            self._http.request("DELETE", f"/api/volumes/{volume_id}")
        except NotFound:
            return

    def attach(self, handle: str, deployment_id: str) -> None:
        """Attach a volume, by its handle, to a running deployment."""
        self._http.request("POST", f"/api/volumes/{handle}/attach", body={"deploymentId": deployment_id})

    def detach(self, handle: str, deployment_id: str) -> None:
        """Detach a volume, by its handle."""
        self._http.request("POST", f"/api/volumes/{handle}/detach", body={"deploymentId": deployment_id})

    def _headers(self) -> dict[str, str]:
        variable = self._account.api_key_variable
        key = os.environ.get(variable, "").strip()
        if not key:
            raise CloudError(
                f"{variable} is not set: make a key at {self._account.base_url}/settings?tab=api and export it"
            )
        if not (key.isascii() and key.isprintable()):
            raise CloudError(f"{variable} holds what is no key: copy it again from {self._account.base_url}/settings")
        return {"Authorization": f"Bearer {key}"}

    def _read(self, path: str, model: type[T]) -> T | None:
        try:
            return self._one("GET", path, model)
        except NotFound:
            return None

    def _one(
        self,
        method: str,
        path: str,
        model: type[T],
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> T:
        answer = self._http.request(method, path, body=body, timeout_s=timeout_s)
        return _parsed(f"{method} {path}", model, json_of(answer))

    def _pages(self, path: str, params: Mapping[str, str], model: type[T], *, key: Callable[[T], str]) -> list[T]:
        """Return a whole listing; one that changed while it was read is read again."""
        for _ in range(_LIST_ATTEMPTS):
            found: dict[str, T] = {}
            total: int | None = None
            page, steady = 1, True
            while True:
                listing = _Listing(path, self._ask_page(path, params, page))
                steady = steady and total in (None, listing.total)
                total = listing.total
                parsed = [_parsed(f"GET {path}", model, row) for row in listing.rows]
                found.update((key(row), row) for row in parsed)
                if page >= listing.pages:
                    break
                page += 1
            if steady and (total is None or len(found) == total):
                return list(found.values())
        raise AmbiguousError(
            f"Spheron's list {path} changed each time it was read: it told of {total}, {len(found)} were found"
        )

    def _ask_page(self, path: str, params: Mapping[str, str], page: int) -> Any:
        return json_of(self._http.request("GET", path, params={**params, "page": page, "limit": _PAGE_SIZE}))


class _Listing:
    """One page of a list: a bare array is all there is, an object says how much there is besides."""

    def __init__(self, path: str, body: Any) -> None:
        self.total: int | None = None
        self.pages = 1
        rows: Any = body
        if isinstance(body, dict):
            rows = next((body[name] for name in ("data", path.rsplit("/", 1)[-1]) if name in body), None)
            self.total = _whole(body.get("total"))
            self.pages = _whole(body.get("totalPages")) or self._pages_by_limit(body)
        if not isinstance(rows, list):
            raise AmbiguousError(f"Spheron answered GET {path} with what is no list: what exists is unknown")
        self.rows: list[Any] = rows

    def _pages_by_limit(self, body: dict[str, Any]) -> int:
        limit = _whole(body.get("limit")) or 0
        return -(-(self.total or 0) // limit) if limit > 0 else 1


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parsed(asked: str, model: type[T], body: Any) -> T:
    try:
        return model.model_validate(body)
    except ValidationError as invalid:
        names = ", ".join(sorted({".".join(str(part) for part in item["loc"]) or "all" for item in invalid.errors()}))
        # Not the values: an answer may hold what is nobody's business.
        raise AmbiguousError(f"Spheron answered {asked} in a form this version does not know ({names})") from None


def explain(response: httpx.Response) -> CloudError | None:
    """Return what a refusal means where Spheron's words tell more than its status does."""
    if response.status_code not in _CLIENT_ERRORS:
        return None
    said = message_of(response)
    text = response.text.lower()
    if _ENDED_ALREADY in text:
        return NotFound(f"Spheron says: {said}")
    body = json_of(response)
    if isinstance(body, dict) and body.get("canTerminate") is False:
        young = _parsed("DELETE", TooYoung, body)
        return MinimumRuntime(
            f"Spheron lets a node be deleted after {young.minimum_runtime:g} minutes, {young.time_remaining:g} remain",
            remaining_minutes=young.time_remaining,
        )
    if response.status_code == _PAYMENT_REQUIRED:
        return InsufficientBalance(f"Spheron wants money first: {said}")
    kind = next((kind for saying, kind in _SAYINGS if saying in text), None)
    return None if kind is None else kind(f"Spheron says: {said}")
