"""What a gate needs of the world, in one place, so that a test can be the world."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from nodestack_fabric.commands import Find, Run


@dataclass(frozen=True)
class Surroundings:
    """The world around a gate.

    Attributes:
        run: Runs a command.
        find: Finds a program that may be missing.
        tell: Says what is waited for.
        clock: Seconds that only go forward.
        sleep: Waits so many seconds.
        uptime_s: Seconds since boot.
        today: Date of a measurement.
    """

    run: Run
    find: Find
    tell: Callable[[str], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    uptime_s: Callable[[], float]
    today: Callable[[], datetime.date]
