"""The package repository of a local node: driver packages below /apt/, engine wheels below /wheels/, nothing else.

python -m nodestack.clouds.local.repository --port 8091 [--host 127.0.0.1] [--apt DIR] [--wheels DIR]
"""

import argparse
import html
from pathlib import Path
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from nodestack.clouds.local import drivers


def application(apt: Path, wheels: Path) -> Starlette:
    """Return the server's application.

    Args:
        apt: Flat apt repository, served below /apt/.
        wheels: Directory of wheels, served below /wheels/ with a page of links that `--find-links` takes.
    """

    def index(_: Request) -> HTMLResponse:
        return HTMLResponse(wheel_index(wheels))

    routes: list[BaseRoute] = [
        Mount("/apt", StaticFiles(directory=apt)),
        Route("/wheels/", index),
        Mount("/wheels", StaticFiles(directory=wheels)),
    ]
    return Starlette(routes=routes)


def wheel_index(wheels: Path) -> str:
    """Return a flat index page of the wheels and source archives in a directory."""
    names = sorted(path.name for path in wheels.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    links = "".join(f'<a href="{quote(name)}">{html.escape(name)}</a><br>\n' for name in names)
    return f"<!DOCTYPE html>\n<html><head><title>wheels</title></head><body>\n{links}</body></html>\n"


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.local.repository", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--apt", type=Path, help="default: the cached repository of stand-in drivers")
    parser.add_argument("--wheels", type=Path, help="default: the cached wheels")
    arguments = parser.parse_args()
    app = application(arguments.apt or drivers.repository(), arguments.wheels or _cached_wheels())
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning")


def _cached_wheels() -> Path:
    # Imported here so that a server given its directory needs nothing of what builds wheels.
    from nodestack.clouds.local import wheels  # noqa: PLC0415

    return wheels.directory()


if __name__ == "__main__":
    main()
