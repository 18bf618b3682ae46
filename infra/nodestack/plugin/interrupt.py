"""Ends a call in time after Cancel, also where the work itself cannot be told to stop."""

import threading
from collections.abc import Callable
from typing import TypeVar

from nodestack.errors import Interrupted

Result = TypeVar("Result")

GRACE_S = 7.0
"""Seconds the work gets to end by itself once cancelled; the engine is answered within 10."""

LAST_LOOK_S = 2.0
"""Seconds a look for what came of work that was left behind may take."""


def until_cancelled(work: Callable[[], Result], cancelled: threading.Event, grace_s: float = GRACE_S) -> Result:
    """Return the work's result, or raise what it raised.

    Work that goes on for longer than `grace_s` after `cancelled` was set is left behind in a thread that ends with the
    process: everything it does can be taken up again by the next run.

    Raises:
        Interrupted: The work was left behind.
    """
    outcome: list[Result] = []
    failure: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # passed on below, in the caller's thread
            failure.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    while not ended.wait(0.2):
        if cancelled.is_set() and not ended.wait(grace_s):
            raise Interrupted("stopped before it was done: what exists is kept, run again to go on")
    if failure:
        raise failure[0]
    return outcome[0]
