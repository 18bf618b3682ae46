"""The servers a node finds on its own loopback, a model hub and a package repository, kept running while it lives."""

import sys
import time
from collections.abc import Callable

from nodestack.clouds.local import network
from nodestack.clouds.local.records import NodeRecord

HUB_PORT = 8090
REPOSITORY_PORT = 8091

_SHORTEST_DELAY_S = 1.0
_LONGEST_DELAY_S = 30.0
# A server that ran this long was well; its end is a new matter.
_WELL_AFTER_S = 60.0


class Server:
    """One server: when to start it, and how long to wait when it keeps ending."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.pid: int | None = None
        self.start_at = 0.0
        self._started_at = 0.0
        self._delay_s = _SHORTEST_DELAY_S

    def started(self, pid: int, now: float) -> None:
        """Take note that it runs."""
        self.pid, self._started_at = pid, now

    def ended(self, now: float) -> None:
        """Take note that it ended: the next start waits, twice as long each time."""
        if now - self._started_at > _WELL_AFTER_S:
            self._delay_s = _SHORTEST_DELAY_S
        self.pid, self.start_at = None, now + self._delay_s
        self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)


class Servers:
    """A node's servers.

    Args:
        record: The node.
        start: Starts a program and returns its number.
        clock: Seconds that only grow.
    """

    def __init__(
        self, record: NodeRecord, start: Callable[[list[str]], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._servers = [Server(argv) for argv in commands(record)]
        self._start = start
        self._clock = clock

    def start_due(self) -> None:
        """Start what should run and does not."""
        for server in self._servers:
            if server.pid is None and self._clock() >= server.start_at:
                server.started(self._start(server.argv), self._clock())

    def ended(self, pid: int) -> None:
        """Take note of a process that ended, whether it is a server or not."""
        for server in self._servers:
            if server.pid == pid:
                server.ended(self._clock())


def commands(record: NodeRecord) -> list[list[str]]:
    """Return the command of each server; the node's network namespace is all they serve."""
    python = ["nsenter", f"--net={network.NETNS}", sys.executable, "-P", "-m"]
    return [
        [*python, "nodestack.clouds.local.hub", "--port", str(HUB_PORT), "--log", record.hub_log],
        [*python, "nodestack.clouds.local.repository", "--port", str(REPOSITORY_PORT)],
    ]
