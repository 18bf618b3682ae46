"""A cloud on this machine that keeps Verda's documented contract over HTTP, odd answers included."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from nodestack.clouds.offers import Market
from nodestack.clouds.simulated import control
from nodestack.clouds.simulated import verda_words as words
from nodestack.clouds.simulated.faults import Faults
from nodestack.clouds.simulated.things import Refused, Why
from nodestack.clouds.simulated.verda_project import Project, market, require
from nodestack.errors import parts_of

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "Project", "application", "market"]

CLIENT_ID, CLIENT_SECRET = "verda_simulated", "verda_simulated_secret"
"""The credentials that the simulation takes where no others are given."""

_REFUSALS = {
    Why.OUT_OF_STOCK: (503, "service_unavailable", "Not enough capacity: the instance type is not available"),
    Why.INSUFFICIENT_BALANCE: (402, "insufficient_funds", "Insufficient funds"),
    Why.MINIMUM_RUNTIME: (403, "forbidden_action", "The instance is too young"),
    Why.NOT_FOUND: (404, "not_found", "Not found"),
}

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[Project, Request], Awaitable[Response]]


def application(project: Project, faults: Faults | None = None) -> Starlette:
    """Return a project as an application: the API under /v1, its control under /_control."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/balance", _balance),
        ("GET", "/instance-types", _instance_types),
        ("GET", "/instance-availability", _availability),
        ("GET", "/instances", _instances),
        ("POST", "/instances", _create_instance),
        ("PUT", "/instances", _act_on_instances),
        ("GET", "/instances/{id}", _instance),
        ("GET", "/volumes", _volumes),
        ("POST", "/volumes", _create_volume),
        ("PUT", "/volumes", _act_on_volume),
        ("GET", "/volumes/{id}", _volume),
        ("GET", "/sshkeys", _keys),
        ("POST", "/sshkeys", _create_key),
        ("GET", "/scripts", _scripts),
        ("POST", "/scripts", _create_script),
        ("DELETE", "/scripts/{id}", _delete_script),
    ]
    routes = [Route(f"/v1{path}", _guarded(project, handler), methods=[method]) for method, path, handler in table]
    routes.append(Route("/v1/oauth2/token", _open_door(project), methods=["POST"]))
    return control.application(project.world, routes, _say, faults)


def _guarded(project: Project, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in project.tokens or project.tokens[token] <= project.world.now():
            return _error(401, "unauthorized_request", "Access token is invalid or expired")
        if not request.headers.get("User-Agent", "").startswith("nodestack"):
            return _error(403, "forbidden_action", "unknown client")
        # Real machines may stand behind it, and take their time.
        await run_in_threadpool(project.settle)
        try:
            return await handler(project, request)
        finally:
            await run_in_threadpool(project.remember)

    return guarded


def _open_door(project: Project) -> Callable[[Request], Awaitable[Response]]:
    async def sign_in(request: Request) -> Response:
        body = await request.json()
        if (body.get("client_id"), body.get("client_secret")) != project.credentials:
            return _error(401, "unauthorized_request", "Invalid client id or client secret")
        if body.get("grant_type") != "client_credentials":
            return _error(400, "invalid_request", "unsupported grant type")
        token = secrets.token_hex(16)
        project.tokens[token] = project.world.now() + timedelta(seconds=project.token_s)
        told = {"access_token": token, "refresh_token": "none", "token_type": "Bearer", "scope": "cloud-api-v1"}
        return JSONResponse(told | {"expires_in": project.token_s})

    return sign_in


async def _balance(project: Project, request: Request) -> Response:
    return JSONResponse({"amount": project.world.balance_usd, "currency": project.currency})


async def _instance_types(project: Project, request: Request) -> Response:
    return JSONResponse(words.instance_types_json(project.world.market, project.currency))


async def _availability(project: Project, request: Request) -> Response:
    sold: Market = "spot" if request.query_params.get(project.spot_word) == "true" else "on_demand"
    return JSONResponse(words.availability_json(project.world.market, project.has, sold))


async def _instances(project: Project, request: Request) -> Response:
    machines = filter(project.shown, project.world.listed_machines())
    return JSONResponse([project.instance_json(machine) for machine in machines])


async def _instance(project: Project, request: Request) -> Response:
    return JSONResponse(project.instance_json(project.machine(request.path_params["id"])))


async def _create_instance(project: Project, request: Request) -> Response:
    wanted = await _read(request, words.WantedInstance)
    machine = await run_in_threadpool(project.order, wanted)
    return PlainTextResponse(machine.machine_id, 202)


async def _act_on_instances(project: Project, request: Request) -> Response:
    act = await _read(request, words.InstanceAct)
    project.acts.append(act)
    results = [await run_in_threadpool(_act, project, machine_id, act) for machine_id in act.ids]
    return JSONResponse(results, 207 if any("error" in told for told in results) else 202)


def _act(project: Project, machine_id: str, act: words.InstanceAct) -> dict[str, object]:
    told: dict[str, object] = {"action": act.action, "instanceId": machine_id, "status": "success"}
    try:
        project.act(machine_id, act)
    except Refused as refused:
        status = _REFUSALS.get(refused.why, (400, "", ""))[0]
        told |= {"status": "error", "error": str(refused), "statusCode": status}
    return told


async def _volumes(project: Project, request: Request) -> Response:
    disks = [disk for disk in project.world.listed_disks() if disk.disk_id not in project.trash]
    return JSONResponse([project.volume_json(disk) for disk in disks])


async def _volume(project: Project, request: Request) -> Response:
    return JSONResponse(project.volume_json(project.disk(request.path_params["id"])))


async def _create_volume(project: Project, request: Request) -> Response:
    wanted = await _read(request, words.WantedVolume)
    require(any(offer.region == wanted.location_code for offer in project.world.market), "invalid location")
    disk = project.world.make_disk(wanted.name, wanted.size, "verda", wanted.location_code, unique_names=False)
    return PlainTextResponse(disk.disk_id, 202)


async def _act_on_volume(project: Project, request: Request) -> Response:
    await run_in_threadpool(project.act_on_volume, await _read(request, words.VolumeAct))
    return Response(status_code=202)


async def _keys(project: Project, request: Request) -> Response:
    return JSONResponse([{"id": one, "name": name, "key": key} for one, (name, key) in project.keys.items()])


async def _create_key(project: Project, request: Request) -> Response:
    body = await request.json()
    made = secrets.token_hex(8)
    project.keys[made] = (body["name"], body["key"])
    return PlainTextResponse(made, 201)


async def _scripts(project: Project, request: Request) -> Response:
    return JSONResponse([{"id": one, "name": name, "script": text} for one, (name, text) in project.scripts.items()])


async def _create_script(project: Project, request: Request) -> Response:
    body = await request.json()
    made = secrets.token_hex(8)
    project.scripts[made] = (body["name"], body["script"])
    return PlainTextResponse(made, 201)


async def _delete_script(project: Project, request: Request) -> Response:
    if project.scripts.pop(request.path_params["id"], None) is None:
        raise Refused(Why.NOT_FOUND)
    return Response(status_code=200)


async def _read(request: Request, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refused(Why.INVALID, "; ".join(parts_of(error))) from error


def _say(refused: Refused) -> Response:
    status, code, message = _REFUSALS.get(refused.why, (400, "invalid_request", str(refused)))
    return _error(status, code, message)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
