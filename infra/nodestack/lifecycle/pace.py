"""How long lifecycle waits for a cloud, how often it asks, and how it stops when told to."""

import time
from collections.abc import Callable
from threading import Event
from typing import Annotated, TypeVar

from pydantic import Field

from nodestack.clouds.base import Frozen
from nodestack.errors import AmbiguousError, CloudError, DuplicateName, Interrupted

Answer = TypeVar("Answer")


class Pace(Frozen):
    """Patience with a cloud.

    Attributes:
        timeout_s: Seconds after which waiting is given up.
        poll_s: Seconds between two questions.
    """

    timeout_s: Annotated[float, Field(gt=0)]
    poll_s: Annotated[float, Field(gt=0)] = 0.5

    def no_faster_than(self, poll_s: float) -> "Pace":
        """Return a pace that asks at most as often as a cloud allows for."""
        return self if self.poll_s >= poll_s else self.model_copy(update={"poll_s": poll_s})


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
        DuplicateName: `ask` raised it, and time does not make that clear.
        CloudError: Time is up, or `ask` raised it.
    """
    started = time.monotonic()
    unclear = ""
    while True:
        stop_if(cancelled, what)
        try:
            answer = ask()
        except DuplicateName:
            raise
        except AmbiguousError as error:
            unclear = f", and the cloud last said: {error}"
        else:
            unclear = ""
            if answer is not None:
                return answer
        if time.monotonic() - started >= pace.timeout_s:
            raise CloudError(f"waited {pace.timeout_s:g} s for {what}, in vain{unclear}: run again to go on waiting")
        cancelled.wait(pace.poll_s)


def settled(find: Callable[[], Answer | None], pace: Pace, *, what: str, cancelled: Event) -> Answer | None:
    """Look for something until it is there; return None once all of a pace's time and its last look were without it.

    Args:
        find: Returns None where it is surely not to be seen.
        pace: How long and how often to look.
        what: What is looked for, e.g. "node web".
        cancelled: Ends it.

    Raises:
        AmbiguousError: The last look left it open, or there are two.
        Interrupted: `cancelled` was set.
    """
    started = time.monotonic()
    while True:
        stop_if(cancelled, what)
        unclear: AmbiguousError | None = None
        try:
            found = find()
        except DuplicateName:
            raise
        except AmbiguousError as error:
            unclear = error
        else:
            if found is not None:
                return found
        if time.monotonic() - started >= pace.timeout_s:
            if unclear is not None:
                raise unclear
            return None
        cancelled.wait(pace.poll_s)


def stop_if(cancelled: Event, what: str) -> None:
    """Raise Interrupted, naming what was waited for, once `cancelled` is set."""
    if cancelled.is_set():
        raise Interrupted(f"stopped while waiting for {what}: what exists is kept, run again to go on")
