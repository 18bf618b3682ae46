"""What systemd says of the unit under test."""

import subprocess
import time
from typing import NamedTuple


class Service(NamedTuple):
    """A unit's present start.

    Attributes:
        active: "active", "inactive", "failed" and so on; "" where systemd does not know.
        invocation: Id of this start, "" where there is none.
        active_s: Seconds since it was started.
    """

    active: str
    invocation: str
    active_s: float


def look(unit: str) -> Service:
    """Ask systemd about a unit."""
    properties = ("ActiveState", "InvocationID", "ActiveEnterTimestampMonotonic")
    command = ["systemctl", "show", unit, "--property", ",".join(properties)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    entered_s = _number(values.get("ActiveEnterTimestampMonotonic", "")) / 1e6
    return Service(
        active=values.get("ActiveState", ""),
        invocation=values.get("InvocationID", ""),
        active_s=max(0.0, time.clock_gettime(time.CLOCK_MONOTONIC) - entered_s) if entered_s else 0.0,
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
