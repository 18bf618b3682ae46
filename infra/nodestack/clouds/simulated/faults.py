"""Faults on order: which request goes wrong and how, and a record of every request that came."""

import asyncio
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodestack.clouds.accounts import Frozen
from nodestack.clouds.simulated.things import Refused, Why


class Kind(StrEnum):
    """How a request goes wrong."""

    TOO_MANY = "429 before the effect"
    ERROR_BEFORE = "500 before the effect"
    ERROR_AFTER = "500 after the effect"
    TIMEOUT_BEFORE = "no answer, no effect"
    TIMEOUT_AFTER = "no answer after the effect"
    CUT_BEFORE = "connection cut before the effect"
    CUT_AFTER = "connection cut after the effect"
    GARBLED = "an answer that is no JSON, after the effect"
    OUT_OF_STOCK = "out of stock"
    NAME_TAKEN = "name taken"
    INSUFFICIENT_BALANCE = "insufficient balance"
    MINIMUM_RUNTIME = "minimum runtime"
    WRONG_REGION = "volume in another region"


_REFUSALS = {
    Kind.OUT_OF_STOCK: Why.OUT_OF_STOCK,
    Kind.NAME_TAKEN: Why.NAME_TAKEN,
    Kind.INSUFFICIENT_BALANCE: Why.INSUFFICIENT_BALANCE,
    Kind.MINIMUM_RUNTIME: Why.MINIMUM_RUNTIME,
    Kind.WRONG_REGION: Why.WRONG_REGION,
}
_WITHOUT_EFFECT = frozenset({Kind.TOO_MANY, Kind.ERROR_BEFORE, Kind.TIMEOUT_BEFORE, Kind.CUT_BEFORE, *_REFUSALS})


class Fault(Frozen):
    """One fault.

    Attributes:
        kind: How the request goes wrong.
        method: The request's method; "" for any.
        path: Regular expression that the whole path matches.
        nth: The first matching request that goes wrong, counted from 1 and from when the fault was set.
        times: How many in a row go wrong.
        retry_after_s: For 429: how long the client is asked to wait, in seconds.
        hang_s: For a timeout: seconds until the connection is cut at last.
        remaining_minutes: For a minimum runtime.
    """

    kind: Kind
    method: str = ""
    path: str = ".*"
    nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] = 1
    retry_after_s: float = 0.05
    hang_s: float = 30.0
    remaining_minutes: int = 20


class Asked(Frozen):
    """A request that came.

    Attributes:
        method: Its method.
        path: Its path.
        status: What was answered; None where nothing was.
        fault: What went wrong with it on purpose, "" where nothing did.
    """

    method: str
    path: str
    status: int | None
    fault: str = ""


class Faults:
    """The faults that are set, in order; the first that matches strikes."""

    def __init__(self) -> None:
        self._set: list[tuple[Fault, list[int]]] = []
        self.asked: list[Asked] = []

    def add(self, *faults: Fault) -> None:
        """Set faults."""
        self._set += [(fault, [0]) for fault in faults]

    def clear(self) -> None:
        """Take all faults back."""
        self._set.clear()

    def struck(self, kind: Kind) -> bool:
        """Return whether a request ever went wrong in this way."""
        return any(asked.fault == kind.name for asked in self.asked)

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the fault that a request meets, and count it."""
        struck = None
        for fault, seen in self._set:
            if fault.method in ("", method) and re.fullmatch(fault.path, path):
                seen[0] += 1
                if struck is None and fault.nth <= seen[0] < fault.nth + fault.times:
                    struck = fault
        return struck


class FaultyPaths:
    """ASGI middleware that has faults strike, and records every request.

    Args:
        app: The cloud.
        faults: The faults.
        refuse: Says a refusal in the cloud's words.
    """

    def __init__(self, app: ASGIApp, faults: Faults, refuse: Callable[[Refused], Response]) -> None:
        self._app = app
        self._faults = faults
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        fault = self._faults.strike(method, path)
        asked = self._faults.asked
        place = len(asked)
        name = "" if fault is None else fault.kind.name
        asked.append(Asked(method=method, path=path, status=None, fault=name))

        async def noted(message: Message) -> None:
            # Before it is sent: whoever has the answer must find it written down.
            if message["type"] == "http.response.start" and "cut" not in (fault.kind.value if fault else ""):
                asked[place] = asked[place].model_copy(update={"status": message["status"]})
            await send(message)

        await self._answer(fault, scope, receive, noted)

    async def _answer(self, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.kind not in _WITHOUT_EFFECT:
            await self._app(scope, receive, _swallow)
        match fault.kind:
            case Kind.TOO_MANY:
                headers = {"Retry-After": f"{fault.retry_after_s:g}"}
                answer: Response = JSONResponse({"error": "Too many requests"}, 429, headers)
            case Kind.ERROR_BEFORE | Kind.ERROR_AFTER:
                answer = JSONResponse({"error": "Internal server error"}, 500)
            case Kind.GARBLED:
                answer = Response("<html>", 200, media_type="text/html")
            case Kind.TIMEOUT_BEFORE | Kind.TIMEOUT_AFTER:
                await asyncio.sleep(fault.hang_s)
                await _cut(send)
                return
            case Kind.CUT_BEFORE | Kind.CUT_AFTER:
                await _cut(send)
                return
            case _:
                answer = self._refuse(Refused(_REFUSALS[fault.kind], remaining_minutes=fault.remaining_minutes))
        await answer(scope, receive, send)


async def _swallow(message: Message) -> None:
    """Lose what was answered."""


async def _cut(send: Send) -> None:
    # Less than was promised: the server closes the connection, and the client knows that the answer is not whole.
    headers = [(b"content-length", b"1000"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
