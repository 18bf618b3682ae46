"""What tests and users do to a simulated cloud behind its back, over `/_control`, and the whole as one application."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from nodestack.clouds.simulated.faults import Fault, Faults, FaultyPaths
from nodestack.clouds.simulated.things import Refused, Rules
from nodestack.clouds.simulated.world import World


def application(
    world: World,
    routes: Sequence[BaseRoute],
    refuse: Callable[[Refused], Response],
    faults: Faults | None = None,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Starlette:
    """Return a cloud with its control.

    Args:
        world: What the cloud sells and holds.
        routes: The public API.
        refuse: Says a refusal in the API's words.
        faults: Where faults are set and requests recorded; a new one where none is given.
        around: Wraps the public API inside the faults, e.g. with authentication.
    """
    faults = faults or Faults()

    async def refused(request: Request, why: Exception) -> Response:
        assert isinstance(why, Refused)  # noqa: S101 - registered for nothing else
        return refuse(why)

    public = Starlette(routes=list(routes), exception_handlers={Refused: refused})
    inside = Mount("/_control", routes=_routes(world, faults))
    return Starlette(routes=[inside, Mount("/", FaultyPaths(around(public), faults, refuse))])


def _routes(world: World, faults: Faults) -> list[BaseRoute]:
    def report(request: Request) -> Response:
        told = world.report().model_dump() | {"balance_usd": world.balance_usd, "now": world.now().isoformat()}
        return JSONResponse(told)

    def events(request: Request) -> Response:
        return JSONResponse([event.model_dump(mode="json") for event in world.ledger.events])

    def requests(request: Request) -> Response:
        return JSONResponse([asked.model_dump() for asked in faults.asked])

    async def set_faults(request: Request) -> Response:
        faults.add(*(Fault.model_validate(item) for item in await request.json()))
        return JSONResponse({})

    async def clear_faults(request: Request) -> Response:
        faults.clear()
        return JSONResponse({})

    async def clock(request: Request) -> Response:
        world.advance(float((await request.json())["advance_s"]))
        return JSONResponse({"now": world.now().isoformat()})

    async def rules(request: Request) -> Response:
        world.rules = Rules.model_validate(world.rules.model_dump() | await request.json())
        return JSONResponse(world.rules.model_dump())

    async def pay_in(request: Request) -> Response:
        world.pay_in(float((await request.json())["usd"]))
        return JSONResponse({"balance_usd": world.balance_usd})

    async def stock(request: Request) -> Response:
        wanted = await request.json()
        for key in world.stock:
            if wanted.get("offer_id") in (None, key[0]) and wanted.get("region") in (None, key[1]):
                world.stock[key] = int(wanted["count"])
        return JSONResponse({})

    async def strike(request: Request) -> Response:
        wanted = await request.json()
        return JSONResponse({"struck": _strike(world, wanted["name"], request.path_params["what"], wanted)})

    return [
        Route("/report", report),
        Route("/events", events),
        Route("/requests", requests),
        Route("/faults", set_faults, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/clock", clock, methods=["POST"]),
        Route("/rules", rules, methods=["PATCH"]),
        Route("/balance", pay_in, methods=["POST"]),
        Route("/stock", stock, methods=["POST"]),
        Route("/machines/{what}", strike, methods=["POST"]),
    ]


def _strike(world: World, name: str, what: str, wanted: dict[str, Any]) -> list[str]:
    """Do something to all living machines of a name and return their ids."""
    struck = [one.machine_id for one in world.living() if one.order.name == name]
    acts = {"preempt": world.preempt, "fail": world.fail, "stop": world.stop, "vanish": world.vanish}
    for machine_id in struck:
        if what == "show":
            world.machine(machine_id).shown_status = str(wanted["status"])
        else:
            acts[what](machine_id)
    return struck
