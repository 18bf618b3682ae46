"""The engine's unit as systemd has it, and its server as HTTP has it."""

import http.client
import json
import subprocess
import urllib.request
from typing import NamedTuple

HTTP_TIMEOUT_S = 5.0
OK = 200
_GAUGES = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")


class State(NamedTuple):
    """A unit as systemd has it."""

    active: str
    sub: str
    invocation: str
    restarts: int


class Load(NamedTuple):
    """What a server has to do.

    Attributes:
        scheduled: Requests that the engine computes, or that wait for it.
        answering: Requests whose replies are not sent to the last byte; below 0 where clients hung up: no proof alone.
    """

    scheduled: int
    answering: int

    @property
    def requests(self) -> int:
        """Return how many requests are in flight."""
        return max(self.scheduled, self.answering, 0)


def state(unit: str) -> State:
    """Return how a unit is."""
    values = _shown(unit, "ActiveState", "SubState", "InvocationID", "NRestarts")
    restarts = values.get("NRestarts", "0")
    return State(values["ActiveState"], values["SubState"], values["InvocationID"], int(restarts or 0))


def ended_s(unit: str) -> float:
    """Return when the program of a oneshot unit ended well, by the machine's monotonic clock; 0 where it did not."""
    values = _shown(unit, "ExecMainExitTimestampMonotonic", "ExecMainStatus")
    ended = int(values.get("ExecMainExitTimestampMonotonic") or 0) / 1e6
    return ended if values.get("ExecMainStatus") == "0" else 0.0


def _shown(unit: str, *properties: str) -> dict[str, str]:
    shown = systemctl("show", unit, "--property", ",".join(properties)).stdout
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def systemctl(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run systemctl to its end."""
    return subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL
    )


def answers(url: str) -> bool:
    """Return whether a URL answers 200 within a few seconds."""
    return _get(url) is not None


def load(server: str) -> Load | None:
    """Return what a server has to do, or None where none answers, one that still loads among them.

    Args:
        server: Its URL without a path.
    """
    metrics = _get(f"{server}/metrics")
    if metrics is None:
        return None
    lines = [line for line in metrics.splitlines() if line.startswith(_GAUGES)]
    scheduled = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    try:
        answering = int(json.loads(_get(f"{server}/load") or "{}").get("server_load", 0))
    except (ValueError, TypeError, AttributeError):
        answering = 0
    return Load(round(scheduled), answering)


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as reply:  # noqa: S310 - the role's own URL
            return str(reply.read().decode("utf-8", "replace")) if reply.status == OK else None
    except (OSError, http.client.HTTPException):
        return None
