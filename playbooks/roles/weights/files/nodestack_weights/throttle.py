"""A bandwidth that all connections share: a token bucket."""

import threading
import time
from collections.abc import Callable

_BURST_S = 0.1


class Throttle:
    """Lets through so many bytes a second, over all threads.

    Args:
        bytes_per_s: The rate; 0 lets everything through.
        clock: Seconds that only grow.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paid_until = clock()

    def most(self, wanted: int) -> int:
        """Return how many bytes to read at once, so that the rate is even and not one of bursts."""
        return min(wanted, max(int(self._rate * _BURST_S), 1)) if self._rate else wanted

    def wait(self, count: int) -> float:
        """Pay for bytes that came in: return the seconds that had to be waited before more may be read."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._clock()
            # Nobody may save up more than a burst: the line would be full for as long as it was idle before.
            self._paid_until = max(self._paid_until, now - _BURST_S) + count / self._rate
            owed_s = self._paid_until - now
        if owed_s > 0:
            self._sleep(owed_s)
        return max(owed_s, 0.0)
