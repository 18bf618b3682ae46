"""A simulated cloud to try stacks against: `python -m nodestack.clouds.simulated spheron --directory DIR`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.local_machines import LocalMachines
from nodestack.clouds.simulated.machines import MemoryMachines
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.world import World


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; its machines and disks end with it."""
    options = _parser().parse_args(argv)
    behind = MemoryMachines() if options.directory is None else LocalMachines(options.directory.resolve())
    world = World(market.standard(), behind, balance_usd=options.balance_usd)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with serve(spheron.app(world), options.port) as base_url:
        print(f"base_url: {base_url}\nSPHERON_API_KEY: {spheron.API_KEY}\ncontrol: {base_url}/_control", flush=True)
        stop.wait()
    world.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.simulated", description=__doc__)
    parser.add_argument("cloud", choices=["spheron"], help="whose API it speaks")
    parser.add_argument("--directory", type=Path, help="boot real nodes of this host, kept here; else they are words")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one by default")
    parser.add_argument("--balance-usd", type=float, default=1000.0, help="prepaid money in USD")
    return parser


if __name__ == "__main__":
    sys.exit(main())
