"""Start a hub: `python -m nodestack.clouds.local.hub --port 8090 --log FILE`; it serves until it is told to end."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from nodestack.clouds.local import tiny_model
from nodestack.clouds.local.hub.access_log import AccessLog
from nodestack.clouds.local.hub.app import create_app
from nodestack.clouds.local.hub.elsewhere import Elsewhere
from nodestack.clouds.local.hub.faults import Faults


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the repositories on the loopback address."""
    options = _parser().parse_args(arguments)
    faults = options.faults or (options.log.with_suffix(".faults.json") if options.log else None)
    root = options.root or tiny_model.repository().parent.parent
    token = options.token_file.read_text().strip() if options.token_file else None
    elsewhere = Elsewhere(base_url=options.large_files_at, signed_for_s=options.signed_for_s)
    with AccessLog(options.log) as log:
        app = create_app(root, log, Faults(faults), token, elsewhere)
        # A body that is cut on purpose ends in an exception that nobody needs to read.
        uvicorn.run(app, host=options.host, port=options.port, log_level="critical", access_log=False, lifespan="off")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.local.hub", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    parser.add_argument("--log", type=Path, help="file that gets one JSON line for each request")
    parser.add_argument("--root", type=Path, help="directory of the repositories; default: the tiny model's")
    parser.add_argument("--token-file", type=Path, help="file with the bearer token that every repository asks for")
    parser.add_argument("--large-files-at", default="", help="base URL of a server that large files are to be had from")
    parser.add_argument(
        "--signed-for-s", type=float, help="send large files from addresses on localhost that are valid for so long"
    )
    parser.add_argument("--faults", type=Path, help="control file for faults; default: beside the log, .faults.json")
    return parser


if __name__ == "__main__":
    main()
