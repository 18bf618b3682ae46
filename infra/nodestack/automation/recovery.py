"""Clear what a killed run leaves behind: its lock, its secrets, and creations it never heard the end of."""

import json
import os
import socket
from pathlib import Path

from nodestack.automation import backend
from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine
from nodestack.errors import RecoveryError
from nodestack.provisioning import workspace


def recover(checkout: Checkout, stack: str) -> list[str]:
    """Make a stack usable again after a kill; return what was cleared, a line each.

    A lock is removed only when it was taken on this host by a process that is gone. A pending creation is forgotten:
    what it made carries its exact name, and the next creation adopts it.

    Raises:
        RecoveryError: The lock belongs to a live process or to another host.
    """
    workspace.clear_abandoned()
    done = [_unlock(lock) for lock in sorted(checkout.locks(stack).glob("*.json"))]
    return done + _forget_pending(checkout, stack)


def is_at_work(checkout: Checkout, stack: str) -> bool:
    """Return whether a run may be at work on a stack: a lock is there whose process is not surely gone."""
    return any(_may_be_held(lock) for lock in checkout.locks(stack).glob("*.json"))


def _may_be_held(lock: Path) -> bool:
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        return bool(owner["hostname"] != socket.gethostname() or _alive(int(owner["pid"])))
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        # It is being written.
        return True


def _unlock(lock: Path) -> str:
    owner = json.loads(lock.read_text(encoding="utf-8"))
    pid, host = int(owner["pid"]), owner["hostname"]
    if host != socket.gethostname():
        raise RecoveryError(
            f"the stack is locked by process {pid} on host {host}: wait for it, or `pulumi cancel` if it is surely gone"
        )
    if _alive(pid):
        raise RecoveryError(f"the stack is locked by process {pid}, which is running: wait for it or stop it")
    lock.unlink(missing_ok=True)
    return f"removed the lock of process {pid}, which is gone"


def _forget_pending(checkout: Checkout, stack: str) -> list[str]:
    pending = backend.latest(checkout, stack).get("pending_operations") or []
    if not pending:
        return []
    backend.keep_copy(checkout, stack)
    engine = Engine(checkout, stack)
    state = json.loads(engine.ask("stack", "export"))
    state["deployment"]["pending_operations"] = []
    engine.ask("stack", "import", stdin=json.dumps(state))
    names = ", ".join(operation["resource"]["urn"].rsplit("::", 1)[-1] for operation in pending)
    return [f"forgot the interrupted operation on {names}: what exists is found again by its name"]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
