"""The hub's HTTP interface."""

import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodestack.clouds.local.hub import body, store
from nodestack.clouds.local.hub.access_log import AccessLog
from nodestack.clouds.local.hub.elsewhere import Elsewhere
from nodestack.clouds.local.hub.faults import Fault, Faults
from nodestack.clouds.local.hub.store import HubFile, Repository

_HERE = Elsewhere()


class Refusal(Exception):
    """An answer that the Hub gives with an error code of its own."""

    def __init__(self, status: int, code: str, message: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status
        self.code = code
        self.message = message


def create_app(
    root: Path, log: AccessLog, faults: Faults, token: str | None = None, elsewhere: Elsewhere = _HERE
) -> Starlette:
    """Return the application.

    Args:
        root: Directory of the repositories (see `store`).
        log: Where requests are written.
        faults: What to do wrong.
        token: The bearer token that every repository asks for; None makes them public.
        elsewhere: Where large files come from.
    """
    hub = _Hub(root, faults, token, elsewhere)
    routes = [
        Route("/api/models/{organisation}/{name}", hub.model_info),
        Route("/api/models/{organisation}/{name}/revision/{revision}", hub.model_info),
        Route("/api/models/{organisation}/{name}/tree/{revision}", hub.tree),
        Route("/signed/{until}/{organisation}/{name}/{revision}/{path:path}", hub.signed, methods=["GET", "HEAD"]),
        Route("/{organisation}/{name}/resolve/{revision}/{path:path}", hub.resolve, methods=["GET", "HEAD"]),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={Refusal: _refuse, 404: _nothing_here},
        middleware=[Middleware(_Logged, log=log)],
    )


class _Hub:
    def __init__(self, root: Path, faults: Faults, token: str | None, elsewhere: Elsewhere) -> None:
        self._root = root
        self._faults = faults
        self._token = token
        self._elsewhere = elsewhere

    async def model_info(self, request: Request) -> Response:
        self._fault(request)
        repository, commit = self._revision(request)
        with_blobs = request.query_params.get("blobs", "").lower() in {"true", "1"}
        files = repository.files(commit)
        content = {
            "_id": commit[:24],
            "id": repository.repository_id,
            "modelId": repository.repository_id,
            "sha": commit,
            "private": self._token is not None,
            "gated": False,
            "disabled": False,
            "tags": [],
            "siblings": [_sibling(file) if with_blobs else {"rfilename": file.path} for file in files],
        }
        return JSONResponse(content, headers={"X-Repo-Commit": commit})

    async def tree(self, request: Request) -> Response:
        self._fault(request)
        repository, commit = self._revision(request)
        return JSONResponse([_tree_entry(file) for file in repository.files(commit)], headers={"X-Repo-Commit": commit})

    async def resolve(self, request: Request) -> Response:
        fault = self._fault(request)
        repository, commit = self._revision(request)
        path = request.path_params["path"]
        file = next((file for file in repository.files(commit) if file.path == path), None)
        if file is None:
            raise Refusal(404, "EntryNotFound", "Entry not found")
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'inline; filename="{Path(path).name}"',
            "ETag": f'"{file.etag}"',
            "X-Repo-Commit": commit,
        }
        if file.sha256 is not None:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
            address = self._elsewhere.address(str(request.url), f"{repository.repository_id}/{commit}/{path}")
            if address is not None:
                return Response(status_code=302, headers={**headers, "Location": address})
        return _content(request, file, headers, fault)

    async def signed(self, request: Request) -> Response:
        """Send a large file as an object store does: to whoever has its address, for as long as that is valid."""
        fault = self._fault(request)
        if "authorization" in request.headers:
            raise Refusal(400, "", "Only one auth mechanism allowed")
        if time.time() > float(request.path_params["until"]):
            raise Refusal(403, "", "Request has expired")
        parameters = request.path_params
        repository = store.find(self._root, f"{parameters['organisation']}/{parameters['name']}")
        files = repository.files(parameters["revision"]) if repository else ()
        file = next((file for file in files if file.path == parameters["path"]), None)
        if file is None:
            raise Refusal(404, "", "The specified key does not exist")
        return _content(request, file, {"Accept-Ranges": "bytes", "ETag": f'"{file.etag}"'}, fault)

    def _fault(self, request: Request) -> Fault:
        fault = self._faults.take(request.method, request.url.path)
        if fault is not None and fault.status is not None:
            raise Refusal(fault.status, "", "asked for by the faults file", fault.retry_after)
        return fault or Fault(path="")

    def _revision(self, request: Request) -> tuple[Repository, str]:
        """Return the repository and the commit that a request's path names, once the caller may see them."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token is not None:
            if not bearer:
                raise Refusal(401, "GatedRepo", "Access to this model is restricted. You must be authenticated.")
            if not hmac.compare_digest(bearer.encode(), self._token.encode()):
                raise Refusal(401, "", "Invalid credentials in Authorization header")
        parameters = request.path_params
        repository = store.find(self._root, f"{parameters['organisation']}/{parameters['name']}")
        if repository is None:
            # The Hub does not tell the unauthenticated whether a private repository exists.
            raise Refusal(404 if bearer else 401, "RepoNotFound", "Repository not found")
        commit = repository.resolve(parameters.get("revision", "main"))
        if commit is None:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {parameters['revision']}")
        return repository, commit


class _Logged:
    """Counts what is sent and writes one line when an answer ended, however it ended."""

    def __init__(self, app: ASGIApp, log: AccessLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, sent_bytes = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, sent_bytes
            await send(message)
            status = message.get("status", status)
            sent_bytes += len(message.get("body", b""))

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            await self._app(scope, receive, counted)
        finally:
            self._log.write(
                method=scope["method"],
                path=scope["path"],
                asked_range=headers.get("range"),
                status=status,
                sent_bytes=sent_bytes,
            )


def _content(request: Request, file: HubFile, headers: dict[str, str], fault: Fault) -> Response:
    asked = request.headers.get("range")
    span = body.requested_span(asked, file.size)
    if span is None:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{file.size}"})
    length = span.end - span.start
    status = 200
    if length < file.size:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{file.size}"
    headers |= {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    pieces: AsyncIterator[bytes] = body.pieces(file.location, span, fault)
    return StreamingResponse(pieces, status_code=status, headers=headers)


def _sibling(file: HubFile) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.blob_id}
    if file.sha256 is not None:
        sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return sibling


def _tree_entry(file: HubFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": file.blob_id, "size": file.size, "path": file.path}
    if file.sha256 is not None:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    said = {"X-Error-Message": error.message, "X-Error-Code": error.code, "Retry-After": error.retry_after}
    headers = {name: value for name, value in said.items() if value}
    return JSONResponse({"error": error.message}, status_code=error.status, headers=headers)


def _nothing_here(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "Sorry, we can't find the page you are looking for."}, status_code=404)
