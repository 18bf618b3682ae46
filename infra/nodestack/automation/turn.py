"""One run of a stack at a time: who comes second is told so at once, before anything is asked of engine or cloud."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from nodestack.automation import private
from nodestack.automation.checkout import Checkout
from nodestack.errors import RecoveryError

_LONGEST_PID = 32


@contextmanager
def only_run(checkout: Checkout, stack: str) -> Iterator[None]:
    """Have a stack of this checkout to oneself; the kernel gives it back with the process, however that ends.

    The engine has a lock of its own. Two of its runs that begin at one moment may see each other's and both give up;
    this one always has a winner.

    Raises:
        RecoveryError: Another run has it.
    """
    descriptor = _open(checkout, stack)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecoveryError(
                f"the stack is locked by process {_owner(descriptor)}, which is at work on {stack}: wait for it or "
                "stop it; nothing was changed and nothing bought"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def holder(checkout: Checkout, stack: str) -> str:
    """Return the process id of the run that has a stack now, "" where none has it."""
    descriptor = _open(checkout, stack)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(descriptor)
    finally:
        os.close(descriptor)
    return ""


def _owner(descriptor: int) -> str:
    """Return what the run that has a stack wrote into its lock."""
    return os.read(descriptor, _LONGEST_PID).decode() or "that just began"


def _open(checkout: Checkout, stack: str) -> int:
    path = checkout.state / "runs" / f"{stack}.lock"
    path.parent.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
