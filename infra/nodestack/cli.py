"""The command line: thin, each command calls one thing."""

import argparse
import compileall
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodestack.automation import recovery, stack, strays, summary
from nodestack.automation.checkout import Checkout, find
from nodestack.clouds.local import supplies
from nodestack.errors import NodestackError

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (NodestackError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: what exists is kept, the same command continues from it", file=sys.stderr)
        return INTERRUPTED
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodestack", description="Declare a GPU node stack, get a verified, metered, private LLM endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    for name, run, purpose in (
        ("up", _up, "Bring a stack up and show a completion of its endpoint."),
        ("down", _down, "Tear a stack down, all but its weights volume."),
        ("purge", _purge, "Tear a stack down and delete its weights volume too."),
        ("outputs", _outputs, "Print what a stack offers and what was verified, as JSON."),
        ("key", _key, "Print the API key of a stack's endpoint."),
        ("init", _init, "Create a stack's state and generate the secrets it lacks."),
    ):
        added = command(name, run, purpose)
        added.add_argument("-s", "--stack", default="local", help="the stack (default: local)")
        if name in {"up", "down", "purge"}:
            added.add_argument("--yes", action="store_true", help="do not ask; implied for the local stack")
    command("prepare", _prepare, "Fetch and build what local nodes are made of, into the cache.")
    return parser


def _up(options: argparse.Namespace) -> int:
    checkout, started = _checkout(), time.monotonic()
    stack.prepare(checkout, options.stack)
    for line in recovery.recover(checkout, options.stack):
        print(f"recovered: {line}")
    prepared = time.monotonic()
    with ThreadPoolExecutor() as beside:
        key = beside.submit(stack.api_key, checkout, options.stack)
        status = stack.up(checkout, options.stack, yes=_unasked(options))
    if status:
        return status
    seconds = {"stack": prepared - started, "pulumi up": time.monotonic() - prepared}
    summary.show(stack.outputs(checkout, options.stack), key.result(), seconds)
    return 0


def _down(options: argparse.Namespace) -> int:
    checkout = _checkout()
    if not checkout.checkpoint(options.stack).exists():
        print(f"stack {options.stack} does not exist: nothing to tear down")
        return 0
    _clear(checkout, options.stack)
    return stack.down(checkout, options.stack, yes=_unasked(options))


def _purge(options: argparse.Namespace) -> int:
    checkout = _checkout()
    if not checkout.checkpoint(options.stack).exists():
        print(f"stack {options.stack} does not exist: nothing to delete")
        return 0
    if not options.yes:
        question = f"Delete stack {options.stack} with its weights volume? Type the stack's name: "
        if not sys.stdin.isatty() or input(question).strip() != options.stack:
            print("nothing was deleted; without a terminal, say --yes (make purge YES=1)", file=sys.stderr)
            return 1
    _clear(checkout, options.stack)
    return stack.purge(checkout, options.stack)


def _clear(checkout: Checkout, name: str) -> None:
    for line in (*recovery.recover(checkout, name), *strays.remove(checkout, name)):
        print(f"recovered: {line}")


def _outputs(options: argparse.Namespace) -> int:
    print(json.dumps(stack.outputs(_checkout(), options.stack), indent=2))
    return 0


def _key(options: argparse.Namespace) -> int:
    print(stack.api_key(_checkout(), options.stack))
    return 0


def _init(options: argparse.Namespace) -> int:
    stack.prepare(_checkout(), options.stack)
    print(f"stack {options.stack} is ready: pulumi up -s {options.stack}")
    return 0


def _prepare(_: argparse.Namespace) -> int:
    # Where the user's environment forbids bytecode, each of the processes of an `up` would compile all of this anew.
    compileall.compile_dir(Path(__file__).parent, quiet=1)
    supplies.prepare()
    return 0


def _checkout() -> Checkout:
    return find(Path.cwd())


def _unasked(options: argparse.Namespace) -> bool:
    return bool(options.yes or options.stack == "local" or not sys.stdin.isatty())


if __name__ == "__main__":
    sys.exit(main())
