"""What the stacks of a checkout have and where: accounts by stack file and state, nodes and volumes by state."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nodestack import naming
from nodestack.automation import backend, files, recovery, simulation
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.clouds.accounts import Account, Frozen
from nodestack.errors import RecoveryError, SettingsError
from nodestack.lifecycle.sweep import Known, Recorded, What
from nodestack.settings import CloudSettings

_KINDS: dict[str, What] = {"nodestack:index:Node": "node", "nodestack:index:Volume": "volume"}
_CLOUD: TypeAdapter[CloudSettings] = TypeAdapter(CloudSettings)
_ACCOUNT: TypeAdapter[Account] = TypeAdapter(Account)


class Holding(Frozen):
    """A node or a volume of a state, with its account; None where this version cannot read that."""

    recorded: Recorded
    account: Account | None


def stacks(checkout: Checkout) -> list[str]:
    """Return the names of all stacks that this checkout has a file or a state of."""
    files = (path.stem.removeprefix("Pulumi.") for path in (checkout.root / "stacks").glob("Pulumi.*.yaml"))
    states = (path.stem for path in checkout.checkpoint("any").parent.glob("*.json"))
    return sorted({*files, *states})


def holdings(checkout: Checkout, names: list[str]) -> list[Holding]:
    """Return what the states of these stacks know.

    Raises:
        RecoveryError: A state cannot be read.
    """
    found = []
    for name in names:
        try:
            resources = backend.latest(checkout, name).get("resources") or []
            found += [_holding(one, name) for one in resources if one["type"] in _KINDS and one.get("id")]
        except (ValueError, KeyError, TypeError) as error:
            raise RecoveryError(
                f"the state of stack {name} cannot be read ({checkout.checkpoint(name)}): what it knows would look "
                "stray; run again, or restore it from the .bak beside it"
            ) from error
    return found


def known(checkout: Checkout, account: Account) -> Known:
    """Return what the states of all stacks know now, with an eye on one account."""
    names = stacks(checkout)
    # Before the states: a run that ends in between is still taken for one at work.
    at_work = frozenset(name for name in names if recovery.is_at_work(checkout, name))
    found = holdings(checkout, names)
    here = [one.recorded for one in found if one.account is not None and place(one.account) == place(account)]
    return Known(ids=frozenset(one.recorded.thing_id for one in found), here=tuple(here), at_work=at_work)


def accounts(checkout: Checkout, names: list[str]) -> list[Account]:
    """Return the accounts that these stacks' files and states name, each once.

    Raises:
        SettingsError: A file's cloud section is wrong.
    """
    found = [one.account for one in holdings(checkout, names) if one.account is not None]
    for name in names:
        if checkout.stack_file(name).is_file() and not simulation.is_ended(checkout, name):
            found.append(naming.account(cloud(checkout, name), checkout.root))
    return list({place(account): account for account in found}.values())


def stacks_in(checkout: Checkout, account: Account) -> set[str]:
    """Return the stacks of this checkout that live in an account, by their file or their state."""
    return {name for name in stacks(checkout) if place(account) in map(place, accounts(checkout, [name]))}


def cloud(checkout: Checkout, stack: str) -> CloudSettings:
    """Return who makes a stack's machine, by its file or its template.

    Raises:
        SettingsError: There is neither, or what stands there is wrong.
    """
    return checked_cloud(files.section(checkout, stack, "cloud"), f"{PROJECT}:cloud of stack {stack}")


def checked_cloud(values: object, what: str) -> CloudSettings:
    """Return a cloud section of what was given.

    Raises:
        SettingsError: It is none; each problem is named.
    """
    try:
        return _CLOUD.validate_python(values)
    except ValidationError as invalid:
        problems = (
            f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}".removeprefix(": ")
            for each in invalid.errors()
        )
        raise SettingsError("\n  ".join([f"{what} is wrong:", *problems])) from None


def require_own_states(checkout: Checkout) -> None:
    """Raise RecoveryError where the engine keeps states that this checkout's files do not show, all or some."""
    if not backend.is_own(checkout):
        raise RecoveryError(
            f"states are kept at {os.environ['PULUMI_BACKEND_URL']} (PULUMI_BACKEND_URL), what they know cannot be "
            "read from this checkout, and all would look stray: unset it, or sweep where the states are"
        )
    compressed = sorted(checkout.checkpoint("any").parent.glob("*.json.gz"))
    if compressed:
        raise RecoveryError(f"{compressed[0]} is a compressed state, which is not read here: all would look stray")


def place(account: Account) -> str:
    """Return which account it is, whichever variables hold its keys."""
    return str(sorted((key, text) for key, text in account.model_dump().items() if not key.endswith("_variable")))


def _holding(resource: Mapping[str, Any], stack: str) -> Holding:
    recorded = Recorded(
        what=_KINDS[resource["type"]], thing_id=resource["id"], name=resource["inputs"]["name"], stack=stack
    )
    return Holding(recorded=recorded, account=_account(resource["inputs"].get("account")))


def _account(values: object) -> Account | None:
    try:
        return _ACCOUNT.validate_python(values)
    except ValidationError:
        return None
