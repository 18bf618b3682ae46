"""`nodestack watch | park | unpark | lease`: a stack's node replaced, removed, had back; its volume never touched."""

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from nodestack import naming
from nodestack.automation import backend, fallback, files, holdings, simulation, turn
from nodestack.automation.bill import Bill
from nodestack.automation.checkout import PROJECT, Checkout, find
from nodestack.automation.journal import journal
from nodestack.automation.runs import StackRuns
from nodestack.automation.watcher import Watcher
from nodestack.catalog import load_for
from nodestack.clouds import open_account
from nodestack.clouds.accounts import LOCAL_SERVICE_PORT, is_simulated
from nodestack.commands import stacks
from nodestack.errors import CloudError, RecoveryError, SettingsError
from nodestack.lifecycle.journal import Entry
from nodestack.settings.stack import HTTPS_PORT

_FREE = frozenset({"local", "ssh"})
_WELL = frozenset({"nothing"})


def run(options: argparse.Namespace) -> int:
    """Watch a stack until stopped, or look once; 0 when all is as it should be then, 1 when it is not."""
    checkout = _checkout(options.stack)
    tell = partial(_tell, options.stack)
    with turn.only_run(checkout, f"{options.stack}.watch"):
        watcher, stamp = opened(checkout, options.stack, tell), _stamp(checkout, options.stack)
        told = ""
        while True:
            action = watcher.settle()
            if (line := f"{action.do}: {action.because}") != told:
                tell(line)
                told = line
            if options.once:
                return int(action.do not in _WELL)
            time.sleep(watcher.terms.poll_s)
            if (seen := _stamp(checkout, options.stack)) != stamp:
                stamp = seen
                try:
                    watcher = opened(checkout, options.stack, tell)
                except SettingsError as wrong:
                    tell(f"the stack's file changed and is not followed: {wrong}")


def park(options: argparse.Namespace) -> int:
    """Remove a stack's node, keep its volume, and show what it costs before and after."""
    checkout = _checkout(options.stack)
    watcher = opened(checkout, options.stack, partial(_tell, options.stack))
    before = _shown(watcher, "before")
    if not backend.exists(checkout, options.stack):
        print(f"stack {options.stack} does not exist: nothing to park")
        return 0
    if (busy := watcher.runs.at_work()) != "":
        raise RecoveryError(f"the stack is locked by {busy}: wait for it or stop it; nothing was changed")
    action = watcher.park(stacks.BY_HAND, watcher.look())
    if action.do != "park":
        print(f"not parked: {action.because}")
        return 1
    _shown(watcher, "after")
    if before is not None and before.usd_so_far is not None and before.node_hours is not None:
        print(f"the node was there for {before.node_hours:.2f} h and cost {before.usd_so_far:.2f} USD")
    print(f"have it back with: nodestack unpark --stack {options.stack}")
    return 0


def unpark(options: argparse.Namespace) -> int:
    """Bring a parked stack up again, and show what it costs before and after."""
    checkout = _checkout(options.stack)
    if not backend.exists(checkout, options.stack):
        raise RecoveryError(f"stack {options.stack} was never up: run nodestack up --stack {options.stack}")
    tell = partial(_tell, options.stack)
    _shown(opened(checkout, options.stack, tell), "before")
    status = stacks.up(options)
    _shown(opened(checkout, options.stack, tell), "after")
    return status


def lease(options: argparse.Namespace) -> int:
    """Have a stack parked at a time unless that is renewed; tell when, where nothing else is asked for."""
    checkout = _checkout(options.stack)
    book, now = journal(checkout, options.stack), datetime.now(UTC)
    memory = book.memory()
    asked: timedelta | None = options.duration
    if asked is not None or options.renew:
        has_node = any(one.recorded.what == "node" for one in holdings.holdings(checkout, [options.stack]))
        if memory.wanted is False or not (memory.wanted or has_node):
            raise SettingsError(f"stack {options.stack} is not up, so there is nothing to lease: bring it up first")
        if asked is None and memory.lease_hours is None:
            raise SettingsError(f"stack {options.stack} has no lease to renew: say --for 4h")
        hours = asked / timedelta(hours=1) if asked is not None else memory.lease_hours or 0.0
        book.write(Entry(at=now, what="lease", until=now + timedelta(hours=hours), hours=hours))
    elif options.end:
        book.write(Entry(at=now, what="lease"))
    until = book.memory().lease_until
    print(f"stack {options.stack} {_until(until, now)}")
    if until is not None and not turn.holder(checkout, f"{options.stack}.watch"):
        print(f"no watch runs in this checkout, and nothing else ends a lease: nodestack watch --stack {options.stack}")
    return 0


def opened(checkout: Checkout, stack: str, tell: Callable[[str], None]) -> Watcher:
    """Return a watch over a stack, by what its file says now.

    Raises:
        SettingsError: That is wrong.
    """
    said = fallback.terms(checkout, stack)
    cloud = holdings.cloud(checkout, stack)
    account = naming.account(cloud, checkout.root)
    is_here = cloud.kind == "local" or is_simulated(account)
    port = files.section(checkout, stack, "gateway").get("port") or (LOCAL_SERVICE_PORT if is_here else HTTPS_PORT)
    return Watcher(
        cloud=open_account(account),
        node_name=naming.node_name(PROJECT, stack),
        volume_name=naming.volume_name(PROJECT, stack),
        terms=said.watch,
        wishes={} if cloud.kind in _FREE else fallback.wishes(said, load_for(checkout.root)),
        runs=StackRuns(checkout, stack, said.watch, int(port), tell),
        journal=journal(checkout, stack),
        clock=lambda: datetime.now(UTC),
        tell=tell,
    )


def _shown(watcher: Watcher, when: str) -> Bill | None:
    try:
        bill = Bill.of(watcher.cloud, watcher.node_name, watcher.volume_name, watcher.clock())
    except CloudError as error:
        print(f"{when}: its cloud does not say what it costs: {error}")
        return None
    print(f"{when}: {bill.line()}")
    return bill


def _until(until: datetime | None, now: datetime) -> str:
    if until is None:
        return "has no lease: it stays up"
    left = max(until - now, timedelta(0))
    return f"is parked at {until:%Y-%m-%d %H:%M} UTC, in {left / timedelta(hours=1):.2f} h, unless its lease is renewed"


def _checkout(stack: str) -> Checkout:
    checkout = find(Path.cwd())
    files.section(checkout, stack, "node")
    simulation.start(checkout, stack)
    os.environ |= simulation.credentials(checkout, stack)
    return checkout


def _stamp(checkout: Checkout, stack: str) -> int:
    file = checkout.stack_file(stack)
    return file.stat().st_mtime_ns if file.exists() else 0


def _tell(stack: str, line: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {stack}: {line}", flush=True)
