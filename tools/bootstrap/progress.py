"""What set-up says: a line when a part starts, moves on and ends, and at the end where the time went."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINE_INTERVAL_S = 20.0


class Progress:
    """One run's lines and times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._spoken: dict[str, float] = {}
        self._phases: list[tuple[str, float, str]] = []

    def say(self, part: str, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(f"[{time.monotonic() - self._started:4.0f} s] {part}: {text}", file=sys.stderr, flush=True)

    def tick(self, part: str, text: str) -> None:
        """Print one line unless this part has said something lately."""
        now = time.monotonic()
        with self._lock:
            if now - self._spoken.get(part, self._started) < LINE_INTERVAL_S:
                return
            self._spoken[part] = now
        self.say(part, text)

    @contextmanager
    def phase(self, part: str) -> Iterator[list[str]]:
        """Time a part; what is appended to the list given is shown beside its time."""
        started = time.monotonic()
        remarks: list[str] = []
        self._spoken[part] = started
        yield remarks
        taken_s = time.monotonic() - started
        with self._lock:
            self._phases.append((part, taken_s, "; ".join(remarks)))
        self.say(part, f"done in {taken_s:.0f} s{''.join(f', {remark}' for remark in remarks)}")

    def summary(self) -> None:
        """Print the split by phase; parts run side by side, so it adds up to more than the whole."""
        if not self._phases:
            return
        print(f"set-up took {time.monotonic() - self._started:.0f} s:", file=sys.stderr)
        for part, taken_s, remark in self._phases:
            print(f"  {part:10} {taken_s:5.0f} s  {remark}".rstrip(), file=sys.stderr)
