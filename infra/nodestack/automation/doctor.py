"""What is wrong with a checkout before it hurts: tools, credentials, clock, states, locks and leftovers; only looks."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict

from nodestack import naming
from nodestack.automation import backend, engine, holdings, recovery, simulation, turn
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.automation.journal import journal
from nodestack.clouds import open_account
from nodestack.clouds.accounts import Account, key_variables
from nodestack.clouds.http import USER_AGENT, Patience
from nodestack.errors import NodestackError
from nodestack.lifecycle import sweep

_PROGRAMS = ("ansible-playbook", "nodestack")
_QUICK = Patience(timeout_s=10, attempts=1)
_MOST_SKEW_S = 30.0
_LEAST_FREE_GIB = 1.0
_GIB = 2**30
_PUBLIC = 0o077


class Finding(BaseModel):
    """One thing that was looked at.

    Attributes:
        check: What.
        about: Of which stack, account or file.
        seen: What was seen.
        do: What to do; "" where all is well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    about: str
    seen: str
    do: str = ""


def examine(checkout: Checkout, stacks: list[str]) -> Iterator[Finding]:
    """Yield what is found, one thing after another; a check that cannot be made is a finding itself.

    Args:
        checkout: What is examined.
        stacks: Whose accounts, states and locks are looked at.
    """
    checks: list[tuple[str, str, Callable[[], Iterator[Finding]]]] = [
        ("tools", str(checkout.root), partial(_tools, checkout)),
        ("room", str(checkout.state), partial(_room, checkout)),
    ]
    for stack in stacks:
        checks += [
            ("state", stack, partial(_state, checkout, stack)),
            ("locks", stack, partial(_locks, checkout, stack)),
            ("journal", stack, partial(_journal, checkout, stack)),
        ]
    accounts: dict[str, Account] = {}
    for stack in stacks:
        if checkout.stack_file(stack).is_file() and not simulation.is_ended(checkout, stack):
            os.environ |= simulation.credentials(checkout, stack)
            checks.append(("credentials", stack, partial(_account, checkout, stack, accounts)))
    yield from _made(checks)
    yield from _made([("account", _where(one), partial(_held, checkout, one)) for one in accounts.values()])


def _made(checks: list[tuple[str, str, Callable[[], Iterator[Finding]]]]) -> Iterator[Finding]:
    for check, about, look in checks:
        try:
            yield from look()
        except (NodestackError, OSError, ValueError) as error:
            yield Finding(check=check, about=about, seen="it cannot be looked at", do=str(error))


def _tools(checkout: Checkout) -> Iterator[Finding]:
    found = engine.record(checkout.root)
    yield Finding(check="tools", about="pulumi", seen=f"{found.way}: {found.reason}")
    for program in _PROGRAMS:
        there = (checkout.root / ".venv" / "bin" / program).exists()
        do = "" if there else "run `make setup`"
        yield Finding(check="tools", about=program, seen="set up" if there else "missing from .venv/bin", do=do)


def _room(checkout: Checkout) -> Iterator[Finding]:
    place = next(path for path in (checkout.state, checkout.root) if path.exists())
    free = shutil.disk_usage(place).free / _GIB
    do = "" if free >= _LEAST_FREE_GIB else "make room: a state that cannot be written is a node that nobody knows"
    yield Finding(check="room", about=str(place), seen=f"{free:.1f} GiB free", do=do)


def _state(checkout: Checkout, stack: str) -> Iterator[Finding]:
    file = checkout.stack_file(stack)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    given = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys()
    if "encryptionsalt" in text and not given:
        yield _passphrase(checkout.passphrase, stack)
    state = backend.latest(checkout, stack)
    known = holdings.holdings(checkout, [stack])
    seen = f"knows {len(known)} of the account's things" if state else "none yet"
    lost = [one.recorded.name for one in known if one.account is None]
    do = f"{', '.join(lost)}: made by another version, use that one" if lost else ""
    yield Finding(check="state", about=stack, seen=seen, do=do)
    if state.get("pending_operations"):
        yield Finding(
            check="state",
            about=stack,
            seen="a run was killed in the middle of a creation",
            do=f"run `nodestack up --stack {stack}`: what it made is found by its name",
        )


def _passphrase(path: Path, stack: str) -> Finding:
    if not path.exists():
        do = f"put it back into {path}, or set PULUMI_CONFIG_PASSPHRASE: without it no secret can be read"
        return Finding(check="state", about=stack, seen="its passphrase is missing", do=do)
    mode = path.stat().st_mode & 0o777
    do = f"chmod 600 {path}" if mode & _PUBLIC else ""
    return Finding(check="state", about=stack, seen=f"its passphrase has mode {mode:04o}", do=do)


def _locks(checkout: Checkout, stack: str) -> Iterator[Finding]:
    holder = turn.holder(checkout, stack)
    for lock in sorted(checkout.locks(stack).glob("*.json")):
        owner = json.loads(lock.read_text(encoding="utf-8"))
        who = f"process {owner['pid']} on {owner['hostname']}"
        if owner["hostname"] != socket.gethostname():
            do = f"if that is surely gone: pulumi cancel --stack {stack}"
            yield Finding(check="locks", about=stack, seen=f"locked by {who}", do=do)
        elif not recovery.is_at_work(checkout, stack):
            do = f"the next run removes it: nodestack up --stack {stack}, or nodestack watch --once --stack {stack}"
            yield Finding(check="locks", about=stack, seen=f"a lock of {who}, which is gone", do=do)
    at_work = f"process {holder} is at work" if holder else "no run is at work"
    yield Finding(check="locks", about=stack, seen=at_work)


def _journal(checkout: Checkout, stack: str) -> Iterator[Finding]:
    memory = journal(checkout, stack).memory()
    busy = turn.holder(checkout, stack) or recovery.is_at_work(checkout, stack)
    if (memory.trying or memory.parking_because) and not busy:
        what = f"parking ({memory.parking_because})" if memory.parking_because else "a run to bring it up"
        do = f"go on with it: nodestack watch --once --stack {stack}"
        yield Finding(check="journal", about=stack, seen=f"{what} was begun and not ended", do=do)
    if memory.lease_until is not None and not turn.holder(checkout, f"{stack}.watch"):
        do = f"nodestack watch --stack {stack}, or --once in a schedule; it is in vain where one watches elsewhere"
        over = memory.lease_until <= datetime.now(UTC)
        seen = f"its lease {'ended' if over else 'ends'} at {memory.lease_until:%Y-%m-%d %H:%M} UTC, no watch runs here"
        yield Finding(check="journal", about=stack, seen=seen, do=do)
    if memory.unclear_since is not None:
        seen = f"its cloud gave no clear answer since {memory.unclear_since:%Y-%m-%d %H:%M} UTC"
        yield Finding(check="journal", about=stack, seen=seen, do="see what the account's own finding says")


def _account(checkout: Checkout, stack: str, accounts: dict[str, Account]) -> Iterator[Finding]:
    account = naming.account(holdings.cloud(checkout, stack), checkout.root)
    missing = [name for name in key_variables(account).values() if not os.environ.get(name)]
    if missing:
        yield Finding(check="credentials", about=stack, seen=f"no {', '.join(missing)}", do=f"export {missing[0]}=...")
        return
    accounts[holdings.place(account)] = account
    yield Finding(check="credentials", about=stack, seen="set" if key_variables(account) else "none needed")


def _held(checkout: Checkout, account: Account) -> Iterator[Finding]:
    yield from _clock(account)
    asked = partial(holdings.known, checkout, account)
    found = sweep.survey(open_account(account, _QUICK), PROJECT, asked)
    where = _where(account)
    yield Finding(check="account", about=where, seen="answers, and takes the key")
    for one in found.strays:
        price = "" if one.usd_per_hour is None else f" at {one.usd_per_hour:.4f} USD/h"
        seen = f"{one.what} {one.name} ({one.thing_id}) is in no state{price}"
        do = (
            f"if it is yours: nodestack sweep --delete {one.thing_id}{' --volumes-too' if one.what == 'volume' else ''}"
        )
        yield Finding(check="leftovers", about=where, seen=seen, do=do)
    for gone in found.missing:
        seen = f"{gone.what} {gone.name} of stack {gone.stack} is {gone.because}"
        yield Finding(check="leftovers", about=where, seen=seen, do=f"nodestack up --stack {gone.stack} makes it anew")


def _clock(account: Account) -> Iterator[Finding]:
    url = getattr(account, "base_url", "")
    if not url:
        return
    try:
        answer = httpx.head(url, headers={"User-Agent": USER_AGENT}, timeout=_QUICK.timeout_s)
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, KeyError, ValueError):
        # Whether it answers at all is another check's.
        return
    skew_s = (datetime.now(UTC) - theirs).total_seconds()
    do = "" if abs(skew_s) <= _MOST_SKEW_S else "set the clock: timedatectl set-ntp true; leases and bills go by it"
    yield Finding(check="clock", about=url, seen=f"{skew_s:+.0f} s beside the cloud's", do=do)


def _where(account: Account) -> str:
    told = account.model_dump()
    return f"{account.kind} at {told.get('base_url') or told.get('directory') or told.get('host')}"
