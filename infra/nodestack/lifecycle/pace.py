"""How long lifecycle waits for a cloud, how often it asks, and how it stops when told to."""

import time
from collections.abc import Callable
from threading import Event
from typing import Annotated, TypeVar

from pydantic import Field

from nodestack.clouds.base import Frozen
from nodestack.errors import AmbiguousError, CloudError, Interrupted

Answer = TypeVar("Answer")


class Pace(Frozen):
    """Patience with a cloud.

    Attributes:
        timeout_s: Seconds after which waiting is given up.
        poll_s: Seconds between two questions.
    """

    timeout_s: Annotated[float, Field(gt=0)]
    poll_s: Annotated[float, Field(gt=0)] = 0.5


def poll(ask: Callable[[], Answer | None], pace: Pace, *, what: str, cancelled: Event) -> Answer:
    """Ask until there is an answer and return it.

    An answer that is unclear is asked for again: only time makes it clear, and the last one is told when time is up.

    Args:
        ask: Returns None for "not yet".
        pace: How long and how often.
        what: What is waited for, for the error text, e.g. "node web-1 to be gone".
        cancelled: Ends the wait.

    Raises:
        Interrupted: `cancelled` was set.
        CloudError: Time is up, or `ask` raised it.
    """
    started = time.monotonic()
    unclear = ""
    while True:
        stop_if(cancelled, what)
        try:
            answer = ask()
        except AmbiguousError as error:
            unclear = f", and the cloud last said: {error}"
        else:
            unclear = ""
            if answer is not None:
                return answer
        if time.monotonic() - started >= pace.timeout_s:
            raise CloudError(f"waited {pace.timeout_s:g} s for {what}, in vain{unclear}: run again to go on waiting")
        cancelled.wait(pace.poll_s)


def stop_if(cancelled: Event, what: str) -> None:
    """Raise Interrupted, naming what was waited for, once `cancelled` is set."""
    if cancelled.is_set():
        raise Interrupted(f"stopped while waiting for {what}: what exists is kept, run again to go on")
