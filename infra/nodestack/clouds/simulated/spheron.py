"""A simulated Spheron: its documented API and what it was seen to do besides, over a world."""

from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nodestack.clouds.offers import Market, Offer
from nodestack.clouds.simulated.control import application
from nodestack.clouds.simulated.faults import Faults
from nodestack.clouds.simulated.machines import Order
from nodestack.clouds.simulated.spheron_json import TEAM_ID, deployment_json, groups_json, volume_json
from nodestack.clouds.simulated.things import Disk, Machine, Refused, Why
from nodestack.clouds.simulated.world import World

API_KEY = "sai_pk_simulated"
"""The key that the simulation takes where no other is given."""

_LONGEST_NAME = 50
_LONGEST_VOLUME_NAME = 60
_SAYINGS: dict[Why, tuple[int, str]] = {
    Why.OUT_OF_STOCK: (400, "Not Enough Stock of the offer"),
    Why.NAME_TAKEN: (400, "This name is not available"),
    Why.INSUFFICIENT_BALANCE: (400, "Insufficient balance"),
    Why.NOT_FOUND: (404, "Not found"),
    Why.ENDED: (400, "Instance has already been terminated."),
    Why.IN_USE: (400, "The volume is attached to an instance"),
    Why.WRONG_REGION: (400, "The volume is in another region than the instance"),
    Why.NOT_RUNNING: (400, "The instance is not running"),
    Why.INVALID: (400, "Invalid request"),
}
_DEFAULT_AGENTS = ("python", "curl", "")


def app(world: World, faults: Faults | None = None, api_key: str = API_KEY) -> Starlette:
    """Return the whole: the API below `/api`, the control below `/_control`."""
    return application(world, _routes(world), refuse, faults, lambda inside: _Gate(inside, api_key))


def refuse(refused: Refused) -> Response:
    """Say a refusal as Spheron does: its `error` is a text here and an object there."""
    if refused.why is Why.MINIMUM_RUNTIME:
        body = {
            "error": "Minimum runtime not met",
            "canTerminate": False,
            "timeRemaining": refused.remaining_minutes,
            "minimumRuntime": 20,
        }
        return JSONResponse(body, 400)
    status, saying = _SAYINGS[refused.why]
    if refused.why in (Why.WRONG_REGION, Why.NOT_RUNNING):
        return JSONResponse({"error": {"code": refused.why.name, "message": saying}}, status)
    return JSONResponse({"error": saying}, status)


class _Gate:
    """Lets in who brings a key, and a User-Agent that is not a library's default."""

    def __init__(self, inside: ASGIApp, api_key: str) -> None:
        self._inside = inside
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        agent = headers.get("user-agent", "").lower()
        if any(agent.startswith(default) if default else not agent for default in _DEFAULT_AGENTS):
            await Response("error code: 1010", 403)(scope, receive, send)
            return
        public = scope["path"].endswith("/gpu-offers")
        if not public and headers.get("authorization") != f"Bearer {self._api_key}":
            await JSONResponse({"error": "Unauthorized", "message": "Invalid API key"}, 401)(scope, receive, send)
            return
        await self._inside(scope, receive, send)


def _routes(world: World) -> list[BaseRoute]:
    deployments, volumes = _Deployments(world), _Volumes(world)

    def offers(request: Request) -> Response:
        return _page(
            request, groups_json(world.market, request.query_params.get("search", "")), world, "data", always=True
        )

    def balance(request: Request) -> Response:
        team = {"teamId": TEAM_ID, "teamName": "sim", "balance": world.balance_usd, "isCurrentTeam": True}
        other = {"teamId": "team-other", "teamName": "other", "balance": 0, "isCurrentTeam": False}
        return JSONResponse({"teams": [other, team], "currency": "USD"})

    one, volume = "/api/deployments/{id}", "/api/volumes/{id}"
    return [
        Route("/api/gpu-offers", offers),
        Route("/api/balance", balance),
        Route("/api/deployments", deployments.list),
        Route("/api/deployments", deployments.create, methods=["POST"]),
        Route(one, deployments.read),
        Route(one, deployments.delete, methods=["DELETE"]),
        Route(f"{one}/can-terminate", deployments.can_terminate),
        Route("/api/volumes", volumes.list),
        Route("/api/volumes", volumes.create, methods=["POST"]),
        Route(volume, volumes.read),
        Route(volume, volumes.resize, methods=["PATCH"]),
        Route(volume, volumes.delete, methods=["DELETE"]),
        Route(f"{volume}/attach", volumes.attach, methods=["POST"]),
        Route(f"{volume}/detach", volumes.detach, methods=["POST"]),
    ]


class _Deployments:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self, request: Request) -> Response:
        _require_team(request.query_params.get("teamId"))
        rows = [deployment_json(one) for one in self._world.listed_machines()]
        wanted = request.query_params.get("status")
        return _page(request, [row for row in rows if wanted in (None, row["status"])], self._world, "deployments")

    async def create(self, request: Request) -> Response:
        body = await request.json()
        if not body.get("teamId"):
            return JSONResponse({"error": "Team ID is required for authenticated deployments"}, 400)
        if not 0 < len(body.get("name", "")) <= _LONGEST_NAME:
            return JSONResponse({"error": f"name must be at most {_LONGEST_NAME} characters"}, 400)
        machine = await run_in_threadpool(self._order, body)
        return JSONResponse(deployment_json(machine), 201)

    def _order(self, body: dict[str, Any]) -> Machine:
        _require_team(body["teamId"])
        market: Market = "spot" if body.get("instanceType") == "SPOT" else "on_demand"
        offer = next((one for one in self._world.market if _matches(one, body, market)), None)
        if offer is None:
            raise Refused(Why.OUT_OF_STOCK)
        if body.get("operatingSystem") not in offer.images or not (body.get("ssh_public_key") or body.get("sshKeyId")):
            raise Refused(Why.INVALID)
        files = {item["path"]: item["content"] for item in (body.get("cloudInit") or {}).get("writeFiles", [])}
        order = Order(
            name=body["name"],
            offer=offer,
            image=body["operatingSystem"],
            ssh_public_key=body.get("ssh_public_key", ""),
            files=files if offer.supports_cloud_init else {},
            disk_ids=tuple(self._world.disk(handle).disk_id for handle in body.get("volumeIds", [])),
        )
        return self._world.order(order)

    def read(self, request: Request) -> Response:
        return JSONResponse(deployment_json(self._world.machine(request.path_params["id"])))

    def delete(self, request: Request) -> Response:
        self._world.delete(request.path_params["id"])
        return JSONResponse({"message": "Instance terminated"})

    def can_terminate(self, request: Request) -> Response:
        remaining = self._world.remaining_minutes(request.path_params["id"])
        body = {"canTerminate": remaining == 0, "timeRemaining": remaining, "minimumRuntime": 20}
        return JSONResponse(body)


class _Volumes:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self, request: Request) -> Response:
        _require_team(request.query_params.get("teamId"))
        rows = [self._answer(disk) for disk in self._world.listed_disks()]
        return _page(request, rows, self._world, "volumes", always=True)

    async def create(self, request: Request) -> Response:
        body = await request.json()
        name = body.get("name", "")
        if not 0 < len(name) <= _LONGEST_VOLUME_NAME or name != name.lower() or not body.get("region"):
            return JSONResponse({"error": {"code": "VALIDATION", "message": "name or region is not valid"}}, 400)
        disk = await run_in_threadpool(
            self._world.make_disk, name, int(body["sizeInGb"]), body["provider"], body["region"]
        )
        return JSONResponse(self._answer(disk), 201)

    def read(self, request: Request) -> Response:
        return JSONResponse(self._answer(self._world.disk(request.path_params["id"])))

    async def resize(self, request: Request) -> Response:
        size_gib = int((await request.json())["sizeInGb"])
        return JSONResponse(self._answer(self._world.grow_disk(request.path_params["id"], size_gib)))

    def delete(self, request: Request) -> Response:
        disk = self._world.disk(request.path_params["id"])
        if disk.disk_id != request.path_params["id"]:
            raise Refused(Why.NOT_FOUND)
        self._world.delete_disk(disk.disk_id)
        return JSONResponse({"message": "deleted"})

    async def attach(self, request: Request) -> Response:
        disk = self._by_handle(request)
        self._world.attach(disk.disk_id, str((await request.json())["deploymentId"]))
        return JSONResponse(self._answer(disk))

    async def detach(self, request: Request) -> Response:
        disk = self._by_handle(request)
        if disk.attached_to != (await request.json())["deploymentId"]:
            return JSONResponse({"error": "The volume is not attached to this deployment"}, 400)
        self._world.detach(disk.disk_id)
        return JSONResponse(self._answer(disk))

    def _answer(self, disk: Disk) -> dict[str, Any]:
        return volume_json(disk, self._world.rules)

    def _by_handle(self, request: Request) -> Disk:
        disk = self._world.disk(request.path_params["id"])
        if disk.handle != request.path_params["id"]:
            raise Refused(Why.NOT_FOUND)
        return disk


def _matches(offer: Offer, body: dict[str, Any], market: Market) -> bool:
    asked = (body.get("offerId"), body.get("provider"), body.get("region"), body.get("gpuType"), body.get("gpuCount"))
    return asked == (offer.offer_id, offer.provider, offer.region, offer.gpu, offer.gpu_count) and (
        market == offer.market
    )


def _require_team(team_id: str | None) -> None:
    if team_id not in (None, TEAM_ID):
        raise Refused(Why.NOT_FOUND)


def _page(
    request: Request, rows: list[dict[str, Any]], world: World, key: str, *, always: bool = False
) -> JSONResponse:
    if not (always or world.rules.pages):
        return JSONResponse(rows)
    page = int(request.query_params.get("page", 1))
    limit = min(int(request.query_params.get("limit", 10)), world.rules.page_size)
    shown = rows[(page - 1) * limit : page * limit]
    pages = -(-len(rows) // limit)
    return JSONResponse({key: shown, "total": len(rows), "page": page, "limit": limit, "totalPages": pages})
