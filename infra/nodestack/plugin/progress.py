"""Live progress on a resource's row: ephemeral log lines to the engine, throttled where each would be printed."""

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import grpc
from pulumi.runtime.proto.engine_pb2 import LogRequest, LogSeverity
from pulumi.runtime.proto.engine_pb2_grpc import EngineStub

from nodestack.clouds.base import Progress

_LIVE_INTERVAL_S = 0.2
_PRINTED_INTERVAL_S = 15.0
_SEND_TIMEOUT_S = 2.0
_LONGEST_QUEUE = 256
_ENGINE_COMMAND = "pulumi"
_DETAIL = " · "
_FIGURES = re.compile(r"[\d.,]+")


class Sink(Protocol):
    """Where progress of all resources goes."""

    def reporter(self, urn: str) -> Progress:
        """Return what takes the lines of one resource."""

    def warn(self, urn: str, text: str) -> None:
        """Show a line that stays."""


class EngineLog:
    """Sends progress to the engine that started this plugin; what cannot be sent is dropped, never waited for.

    Attributes:
        live: Whether the engine draws on a terminal, where a line replaces the one before.
    """

    def __init__(self, address: str, *, live: bool) -> None:
        self.live = live
        self._engine = EngineStub(grpc.insecure_channel(address))
        self._lines: queue.Queue[LogRequest] = queue.Queue(_LONGEST_QUEUE)
        # One thread, because lines that are sent side by side arrive in any order.
        threading.Thread(target=self._send_all, name="progress", daemon=True).start()

    def reporter(self, urn: str) -> Progress:
        """Return a throttled reporter for one resource."""
        return Throttle(lambda text: self._send(urn, text), live=self.live)

    def warn(self, urn: str, text: str) -> None:
        """Show a warning on the resource's row and after the run."""
        self._log(LogRequest(severity=LogSeverity.WARNING, message=text, urn=urn))

    def _send(self, urn: str, text: str) -> None:
        self._log(LogRequest(severity=LogSeverity.INFO, message=text, urn=urn, ephemeral=True))

    def _log(self, request: LogRequest) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(request)

    def _send_all(self) -> None:
        while True:
            # An engine that is gone is noticed elsewhere.
            with contextlib.suppress(grpc.RpcError):
                self._engine.Log(self._lines.get(), timeout=_SEND_TIMEOUT_S)


class Throttle:
    """Passes on as many lines as their reader can use.

    On a terminal: each that says something new, and new figures five times a second at most. Printed: each with a
    subject of its own ("weights" in "weights · fetching 3 of 60 MB"), and news about the same one every 15 seconds.
    """

    def __init__(self, send: Callable[[str], None], *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._live = live
        self._clock = clock
        self._lock = threading.Lock()
        self._last_text = ""
        self._last_at = -_PRINTED_INTERVAL_S

    def __call__(self, text: str) -> None:
        with self._lock:
            if text == self._last_text:
                return
            now = self._clock()
            says_news = self._subject(text) != self._subject(self._last_text)
            interval_s = _LIVE_INTERVAL_S if self._live else _PRINTED_INTERVAL_S
            if not says_news and now - self._last_at < interval_s:
                return
            self._last_text, self._last_at = text, now
        self._send(text)

    def _subject(self, text: str) -> str:
        return _FIGURES.sub("", text if self._live else text.partition(_DETAIL)[0])


class Silence:
    """Takes progress nobody reads."""

    def reporter(self, urn: str) -> Progress:
        """Return a reporter that drops every line."""
        return lambda text: None

    def warn(self, urn: str, text: str) -> None:
        """Drop a warning."""


def engine_draws_on_terminal(process_id: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether the engine among a process's ancestors writes to a terminal; False where that cannot be seen.

    A plugin's own output is a pipe in either case, and a terminal may exist while the engine's output goes to a file.
    """
    while process_id > 1:
        try:
            stat = (proc / str(process_id) / "stat").read_text()
            name, after = stat.partition("(")[2].rsplit(")", 1)
            if name == _ENGINE_COMMAND:
                return str((proc / str(process_id) / "fd" / "1").readlink()).startswith(("/dev/pts/", "/dev/tty"))
            process_id = int(after.split()[1])
        except (OSError, ValueError):
            return False
    return False
