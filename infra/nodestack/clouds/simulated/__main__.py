"""A simulated cloud to try stacks against: `python -m nodestack.clouds.simulated verda --directory DIR`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from nodestack.clouds.accounts import key_variables
from nodestack.clouds.simulated.kept import Home, KeptWorld
from nodestack.clouds.simulated.kinds import KINDS, Kind
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
    kind = KINDS[options.cloud]
    if options.keep is not None:
        _serve_kept(kind, Home(options.keep.resolve()), options.port, options.balance_usd, stop)
        return 0
    behind = (
        MemoryMachines() if options.directory is None else LocalMachines(options.directory.resolve(), kind.ssh_user)
    )
    world = World(kind.market(), behind, balance_usd=options.balance_usd)
    with serve(kind.open(world, kind.keys, None).app, options.port) as base_url:
        keys = "".join(f"{variable}: {kind.keys[name]}\n" for name, variable in key_variables(kind.account).items())
        print(f"base_url: {base_url}{kind.path}\n{keys}control: {base_url}/_control", flush=True)
        stop.wait()
    world.close()
    return 0


def _serve_kept(kind: Kind, home: Home, port: int, balance_usd: float, stop: threading.Event) -> None:
    """Serve real nodes from a directory and leave them, and what is known of them, to the next server."""
    behind = LocalMachines(home.machines, kind.ssh_user)
    world = KeptWorld(kind.market(), behind, balance_usd=balance_usd)
    served = kind.open(world, {name: home.key(name) for name in kind.keys}, None)
    with serve(served.app, port) as base_url:
        # Only now that the port is ours: two servers of one directory would each write what it knows.
        world.keep_in(home.directory / "world.json")
        served.keep_in(home.directory)
        behind.end_others(world.machines)
        home.write_server(base_url)
        stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.simulated", description=__doc__)
    parser.add_argument("cloud", choices=list(KINDS), help="whose API it speaks")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--directory", type=Path, help="boot real nodes of this host, kept here; else they are words")
    kind.add_argument("--keep", type=Path, metavar="DIRECTORY", help="as that, and remembered for the next start")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one by default")
    parser.add_argument("--balance-usd", type=float, default=1000.0, help="prepaid money in USD")
    return parser


if __name__ == "__main__":
    sys.exit(main())
