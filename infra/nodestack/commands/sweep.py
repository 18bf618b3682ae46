"""`nodestack sweep`: what accounts hold under our names and no state of this checkout knows; deleted on request."""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

from nodestack.automation import holdings, simulation
from nodestack.automation.checkout import PROJECT, Checkout, find
from nodestack.clouds import open_account
from nodestack.clouds.accounts import Account
from nodestack.commands.account import chosen, where
from nodestack.errors import CloudError, SettingsError
from nodestack.lifecycle import sweep
from nodestack.lifecycle.sweep import Missing, Survey, Thing
from nodestack.rendering.sweep_table import Absent, Report, Swept, sweep_table
from nodestack.rendering.terminal import show

Surveyed = list[tuple[Account, Survey]]


def run(options: argparse.Namespace) -> int:
    """Print what is stray, delete it where that is asked for; 0 when nothing stray is left, 1 when something is.

    Raises:
        SettingsError: The options contradict each other, or name what is no stray.
        RecoveryError: The states of this checkout cannot be read.
    """
    if options.delete is None and (options.volumes_too or options.yes):
        raise SettingsError("--volumes-too and --yes say how to delete: say --delete as well")
    checkout = find(Path.cwd())
    holdings.require_own_states(checkout)
    for name in holdings.stacks(checkout):
        os.environ |= simulation.credentials(checkout, name)
    surveyed, problems = _survey(checkout, _accounts(checkout, options))
    failed: dict[str, str] | None = None
    doomed = _doomed(options, checkout, surveyed) if options.delete is not None else []
    if doomed and _agreed(options, doomed, partial(_show, checkout, surveyed, problems, options)):
        failed = _delete(checkout, surveyed, {one.thing_id for one in doomed})
    report = _report(checkout, surveyed, problems, [one for one in doomed if failed is not None], failed or {})
    _print(report, as_json=options.json)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return int(bool(report.remaining or problems))


def _accounts(checkout: Checkout, options: argparse.Namespace) -> list[Account]:
    """Return the accounts to sweep: those that are named, or else all that this checkout's stacks have."""
    names = holdings.stacks(checkout)
    if options.base_url or (options.stack and options.stack not in names):
        return [chosen(options)]
    found = holdings.accounts(checkout, [options.stack] if options.stack else names)
    if options.cloud:
        found = [account for account in found if account.kind == options.cloud] or [chosen(options)]
    return found


def _survey(checkout: Checkout, accounts: Iterable[Account]) -> tuple[Surveyed, list[str]]:
    surveyed, problems = [], []
    for account in accounts:
        try:
            found = sweep.survey(open_account(account), PROJECT, partial(holdings.known, checkout, account))
            surveyed.append((account, found))
        except CloudError as error:
            # What the others hold bills as well.
            problems.append(f"{account.kind} at {where(account)}: {error}")
    return surveyed, problems


def _doomed(options: argparse.Namespace, checkout: Checkout, surveyed: Surveyed) -> list[Thing]:
    """Return what is to be deleted: what is named, or else what belongs to stacks of this checkout."""
    strays = [(account, one) for account, found in surveyed for one in found.strays]
    named = set(options.delete)
    unknown = sorted(named - {word for _, one in strays for word in (one.name, one.thing_id)})
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: no stray has this name or id, nothing was deleted")
    ours = {holdings.place(account): holdings.stacks_in(checkout, account) for account, _ in strays}
    return [
        one
        for account, one in strays
        if ({one.name, one.thing_id} & named if named else one.stack in ours[holdings.place(account)])
        and (one.what == "node" or options.volumes_too)
    ]


def _agreed(options: argparse.Namespace, doomed: list[Thing], show_first: partial[None]) -> bool:
    """Return whether to go on: `--yes`, or each question on the terminal answered so."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        print("nothing was deleted: there is no terminal to ask on, say --yes", file=sys.stderr)
        return False
    show_first()
    for what, fate in (("node", ""), ("volume", " with everything on them")):
        names = [f"{one.name} ({one.thing_id})" for one in doomed if one.what == what]
        if names:
            print(f"Delete these {what}s{fate}: {', '.join(names)}? Type yes: ", end="", file=sys.stderr, flush=True)
            if sys.stdin.readline().strip() != "yes":
                print("nothing was deleted", file=sys.stderr)
                return False
    return True


def _delete(checkout: Checkout, surveyed: Surveyed, doomed: set[str]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for account, found in surveyed:
        failed |= sweep.delete(
            open_account(account),
            [one for one in found.strays if one.thing_id in doomed],
            partial(holdings.known, checkout, account),
            progress=partial(print, file=sys.stderr, flush=True),
            cancelled=Event(),
        )
    return failed


def _show(checkout: Checkout, surveyed: Surveyed, problems: list[str], options: argparse.Namespace) -> None:
    if not options.json:
        _print(_report(checkout, surveyed, problems, [], {}), as_json=False)


def _report(
    checkout: Checkout, surveyed: Surveyed, problems: list[str], tried: list[Thing], failed: dict[str, str]
) -> Report:
    now, ids = datetime.now(UTC), {one.thing_id for one in tried}
    ours = {holdings.place(account): holdings.stacks_in(checkout, account) for account, _ in surveyed}

    def row(account: Account, one: Thing) -> Swept:
        return Swept(
            cloud=account.kind,
            account=where(account),
            what=one.what,
            name=one.name,
            id=one.thing_id,
            stack=one.stack,
            in_checkout=one.stack in ours[holdings.place(account)],
            region=one.region,
            age_hours=one.age_hours(now),
            usd_per_hour=one.usd_per_hour,
            usd_so_far=one.usd_so_far(now),
            deleted=one.thing_id in ids and one.thing_id not in failed,
            problem=failed.get(one.thing_id),
        )

    return Report(
        strays=tuple(row(account, one) for account, found in surveyed for one in found.strays),
        at_work=tuple(row(account, one) for account, found in surveyed for one in found.at_work),
        missing=tuple(_absent(account, one) for account, found in surveyed for one in found.missing),
        problems=tuple(problems),
    )


def _absent(account: Account, one: Missing) -> Absent:
    return Absent(
        cloud=account.kind,
        account=where(account),
        what=one.what,
        name=one.name,
        id=one.thing_id,
        stack=one.stack,
        because=one.because,
    )


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.model_dump(mode="json"), indent=2))
    else:
        show(sweep_table(report))
