"""How long to bear with a hub: what is worth another attempt, and when."""

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be others a moment later."""

_NONE_LEFT_FOR_S = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
_POLL_S = 0.2


class Patience(NamedTuple):
    """How long to bear with a transfer.

    Attributes:
        stall_s: Seconds without enough data after which a connection is dropped and the file continued on a new one.
        minimum_bytes_per_s: What counts as enough.
        fruitless_attempts: Attempts in a row that may bring nothing before the file is given up.
        longest_pause_s: Longest pause between two attempts; they double from one second on.
        longest_asked_pause_s: Longest pause that a hub may ask for; the Hub counts requests in windows of 300 s.
    """

    stall_s: float = 30.0
    minimum_bytes_per_s: int = 1024
    fruitless_attempts: int = 6
    longest_pause_s: float = 15.0
    longest_asked_pause_s: float = 330.0

    def pause_s(self, fruitless: int, asked_s: float = 0.0) -> float:
        """Return how long to wait after so many attempts in a row that brought nothing.

        Args:
            fruitless: At least 1.
            asked_s: What the hub asked for.
        """
        return max(min(2.0 ** (fruitless - 1), self.longest_pause_s), min(asked_s, self.longest_asked_pause_s))


class Headers(Protocol):
    """The headers of an answer, of whichever client."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""


def asked_pause_s(headers: Headers) -> float:
    """Return the seconds that an answer asks to wait, 0 where it does not say.

    Read are Retry-After (RFC 9110, seconds or a date) and the Hub's RateLimit, as in `"resolvers";r=0;t=12`.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
        except (TypeError, ValueError, OverflowError):
            return 0.0
    none_left = _NONE_LEFT_FOR_S.search(headers.get("RateLimit", ""))
    return float(none_left[1]) if none_left else 0.0


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait; `check` is called now and then and may raise."""
    until = time.monotonic() + seconds
    while True:
        check()
        if (left := until - time.monotonic()) <= 0:
            return
        time.sleep(min(left, _POLL_S))
