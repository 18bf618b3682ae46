"""A simulated cloud to try stacks against: `python -m nodestack.clouds.simulated spheron --directory DIR`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.kept import Home, KeptWorld
from nodestack.clouds.simulated.local_machines import LocalMachines
from nodestack.clouds.simulated.machines import MemoryMachines
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; what the account holds ends with it, unless it is kept."""
    options = _parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    if options.keep is not None:
        _serve_kept(Home(options.keep.resolve()), options.port, options.balance_usd, stop)
        return 0
    behind = MemoryMachines() if options.directory is None else LocalMachines(options.directory.resolve())
    world = World(market.standard(), behind, balance_usd=options.balance_usd)
    with serve(spheron.app(world), options.port) as base_url:
        print(f"base_url: {base_url}\nSPHERON_API_KEY: {spheron.API_KEY}\ncontrol: {base_url}/_control", flush=True)
        stop.wait()
    world.close()
    return 0


def _serve_kept(home: Home, port: int, balance_usd: float, stop: threading.Event) -> None:
    """Serve real nodes from a directory and leave them, and what is known of them, to the next server."""
    behind = LocalMachines(home.machines)
    world = KeptWorld(market.standard(), behind, balance_usd=balance_usd)
    with serve(spheron.app(world, api_key=home.api_key()), port) as base_url:
        # Only now that the port is ours: two servers of one directory would each write what it knows.
        world.keep_in(home.directory / "world.json")
        behind.end_others(world.machines)
        home.write_server(base_url)
        stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.simulated", description=__doc__)
    parser.add_argument("cloud", choices=["spheron"], help="whose API it speaks")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--directory", type=Path, help="boot real nodes of this host, kept here; else they are words")
    kind.add_argument("--keep", type=Path, metavar="DIRECTORY", help="as that, and remembered for the next start")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one by default")
    parser.add_argument("--balance-usd", type=float, default=1000.0, help="prepaid money in USD")
    return parser


if __name__ == "__main__":
    sys.exit(main())
