"""Where the states of stacks are kept: in this checkout's own files, or wherever PULUMI_BACKEND_URL says."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodestack.automation import private
from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine

_MOST_COPIES = 30


def is_own(checkout: Checkout) -> bool:
    """Return whether it is this checkout's own files, which are read without the engine."""
    return os.environ.get("PULUMI_BACKEND_URL", "") in ("", f"file://{checkout.backend}")


def exists(checkout: Checkout, stack: str) -> bool:
    """Return whether a stack has a state.

    Raises:
        NodestackError: The backend cannot be asked.
    """
    if is_own(checkout):
        # Compressed where the user has the engine do so: not read here, but there.
        plain = checkout.checkpoint(stack)
        return plain.exists() or plain.with_name(f"{plain.name}.gz").exists()
    listed = json.loads(Engine(checkout, stack).ask("stack", "ls", "--json"))
    # A service names the owner, too.
    return stack in {str(one["name"]).rpartition("/")[2] for one in listed}


def latest(checkout: Checkout, stack: str) -> dict[str, Any]:
    """Return the last state of a stack, secrets encrypted: resources and pending operations; empty where there is none.

    Raises:
        NodestackError: The backend cannot be asked.
    """
    if is_own(checkout):
        return checkout.latest(stack)
    if not exists(checkout, stack):
        return {}
    return dict(json.loads(Engine(checkout, stack).ask("stack", "export")).get("deployment") or {})


def keep_copy(checkout: Checkout, stack: str) -> Path | None:
    """Copy a stack's state before it is changed, and return the copy; None where the engine's backend keeps versions.

    The last 30 are kept, and a state that did not change since the last copy is not copied again.
    """
    state = checkout.checkpoint(stack)
    if not is_own(checkout) or not state.exists():
        return None
    directory = checkout.state / "backups" / stack
    directory.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
    kept = sorted(directory.glob("*.json"))
    if kept and kept[-1].read_bytes() == state.read_bytes():
        return kept[-1]
    copy = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.json"
    # copyfile alone gives the copy this process's usual mode; the directory is private in any case.
    shutil.copyfile(state, copy.with_suffix(".partial"))
    copy.with_suffix(".partial").replace(copy)
    for old in kept[: max(0, len(kept) + 1 - _MOST_COPIES)]:
        old.unlink(missing_ok=True)
    return copy
