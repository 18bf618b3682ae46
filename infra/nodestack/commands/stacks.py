"""Bring a stack up, tear it down, ask it: `nodestack up | down | purge | outputs | key | ca | init | prepare`."""

import argparse
import compileall
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import nodestack
from nodestack.automation import backend, recovery, simulation, stack, strays, summary, turn
from nodestack.automation.checkout import Checkout, find
from nodestack.automation.journal import journal
from nodestack.clouds.local import supplies
from nodestack.lifecycle.journal import Entry, What

BY_HAND = "asked for by hand"


def up(options: argparse.Namespace) -> int:
    """Bring a stack up and show a completion of its endpoint."""
    with turn.only_run(_checkout(), options.stack):
        return _up(options)


def _up(options: argparse.Namespace) -> int:
    checkout, started = _checkout(), time.monotonic()
    stack.prepare(checkout, options.stack)
    unasked = _unasked(options)
    if unasked:
        _note(checkout, options.stack, "wanted", "trying")
    simulate(checkout, options.stack)
    for line in recovery.recover(checkout, options.stack):
        print(f"recovered: {line}")
    prepared = time.monotonic()
    with ThreadPoolExecutor() as beside:
        key = beside.submit(stack.api_key, checkout, options.stack)
        status = stack.up(checkout, options.stack, yes=unasked)
    # Who was asked may have said no: a watch must not take that for a yes.
    if unasked:
        _note(checkout, options.stack, "failed" if status else "up")
    elif status == 0:
        _note(checkout, options.stack, "wanted", "up")
    if status:
        return status
    stack.record_manifest(checkout, options.stack)
    seconds = {"stack": prepared - started, "pulumi up": time.monotonic() - prepared}
    summary.show(stack.outputs(checkout, options.stack), key.result(), seconds)
    return 0


def down(options: argparse.Namespace) -> int:
    """Tear a stack down, all but its weights volume."""
    with turn.only_run(_checkout(), options.stack):
        return _down(options)


def _down(options: argparse.Namespace) -> int:
    checkout = _checkout()
    if not backend.exists(checkout, options.stack):
        print(f"stack {options.stack} does not exist: nothing to tear down")
        return 0
    unasked = _unasked(options)
    if unasked:
        _note(checkout, options.stack, "parking")
    _clear(checkout, options.stack)
    status = stack.down(checkout, options.stack, yes=unasked)
    if status == 0:
        _note(checkout, options.stack, "parked")
    _end_simulation(checkout, options.stack)
    return status


def purge(options: argparse.Namespace) -> int:
    """Tear a stack down and delete its weights volume too."""
    with turn.only_run(_checkout(), options.stack):
        return _purge(options)


def _purge(options: argparse.Namespace) -> int:
    checkout = _checkout()
    if not backend.exists(checkout, options.stack):
        print(f"stack {options.stack} does not exist: nothing to delete")
        return 0
    if not options.yes:
        question = f"Delete stack {options.stack} with its weights volume? Type the stack's name: "
        if not sys.stdin.isatty() or input(question).strip() != options.stack:
            print("nothing was deleted; without a terminal, say --yes (make purge YES=1)", file=sys.stderr)
            return 1
    _note(checkout, options.stack, "parking")
    _clear(checkout, options.stack)
    status = stack.purge(checkout, options.stack)
    if status == 0:
        _note(checkout, options.stack, "parked")
    _end_simulation(checkout, options.stack)
    return status


def outputs(options: argparse.Namespace) -> int:
    """Print what a stack offers and what was verified, as JSON."""
    print(json.dumps(stack.outputs(_checkout(), options.stack), indent=2))
    return 0


def key(options: argparse.Namespace) -> int:
    """Print the API key of a stack's endpoint."""
    print(stack.api_key(_checkout(), options.stack))
    return 0


def ca(options: argparse.Namespace) -> int:
    """Print the certificate that clients verify a stack's endpoint with, as PEM."""
    found = stack.outputs(_checkout(), options.stack).get("ca_certificate")
    if not found:
        print(f"stack {options.stack} has no authority of its own: bring it up first, or it has ACME", file=sys.stderr)
        return 1
    print(found, end="")
    return 0


def init(options: argparse.Namespace) -> int:
    """Create a stack's state and generate the secrets it lacks."""
    checkout = _checkout()
    stack.prepare(checkout, options.stack)
    simulate(checkout, options.stack)
    print(f"stack {options.stack} is ready: pulumi up -s {options.stack}")
    return 0


def prepare(_: argparse.Namespace) -> int:
    """Fetch and build what local nodes are made of, into the cache."""
    # Where the user's environment forbids bytecode, each of the processes of an `up` would compile all of this anew.
    compileall.compile_dir(Path(nodestack.__file__).parent, quiet=1)
    supplies.prepare()
    return 0


def simulate(checkout: Checkout, name: str) -> None:
    """Have a stack's simulated cloud run, and its key where the engine and our own client look for it."""
    base_url = simulation.start(checkout, name)
    os.environ |= simulation.credentials(checkout, name)
    if base_url:
        print(f"simulated cloud: {base_url}, its control at {base_url}/_control")


def _end_simulation(checkout: Checkout, name: str) -> None:
    for line in simulation.end_if_empty(checkout, name):
        print(line)


def _clear(checkout: Checkout, name: str) -> None:
    simulate(checkout, name)
    for line in (*recovery.recover(checkout, name), *strays.remove(checkout, name)):
        print(f"recovered: {line}")


def _note(checkout: Checkout, name: str, *said: What) -> None:
    """Have the stack's journal know what was asked for by hand, so that a watch neither undoes nor forgets it."""
    for what in said:
        journal(checkout, name).write(Entry(at=datetime.now(UTC), what=what, because=BY_HAND))


def _checkout() -> Checkout:
    return find(Path.cwd())


def _unasked(options: argparse.Namespace) -> bool:
    free = options.stack == "local" or simulation.account_of(_checkout(), options.stack) is not None
    return bool(options.yes or free or not sys.stdin.isatty())
