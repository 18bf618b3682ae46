"""A file as the body of an answer: a range of it, with the faults that were asked for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from nodestack.clouds.base import Frozen
from nodestack.clouds.local.hub.faults import Fault

_PIECE_BYTES = 64 * 1024


class Cut(Exception):
    """The connection is to be closed in the middle of the body, on purpose."""


class Span(Frozen):
    """Bytes `start` up to, but not including, `end`."""

    start: int
    end: int


def requested_span(header: str | None, size: int) -> Span | None:
    """Return what a Range header asks for; the whole file without one (RFC 9110, one range).

    Returns:
        The span, or None when the range cannot be satisfied.
    """
    if header is None or not header.startswith("bytes=") or "," in header:
        return Span(start=0, end=size)
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not (first or last) or not (first + last).isdigit():
        return Span(start=0, end=size)
    if not first:
        return Span(start=max(size - int(last), 0), end=size) if int(last) else None
    end = min(int(last) + 1, size) if last else size
    return Span(start=int(first), end=end) if int(first) < end else None


async def pieces(location: Path, span: Span, fault: Fault) -> AsyncIterator[bytes]:
    """Yield the bytes of a span piece by piece.

    Raises:
        Cut: The fault asks for the connection to end here.
    """
    sent = 0
    with location.open("rb") as file:
        file.seek(span.start)
        while (left := span.end - span.start - sent) > 0:
            if sent == fault.cut_after_bytes:
                raise Cut
            if sent == fault.stall_after_bytes:
                await asyncio.sleep(fault.stall_s)
            piece = file.read(min(_piece_bytes(fault), left, *_until_faults(fault, sent)))
            yield piece
            sent += len(piece)
            if fault.bytes_per_s is not None:
                await asyncio.sleep(len(piece) / fault.bytes_per_s)


def _until_faults(fault: Fault, sent: int) -> list[int]:
    places = (fault.cut_after_bytes, fault.stall_after_bytes)
    return [place - sent for place in places if place is not None and place > sent]


def _piece_bytes(fault: Fault) -> int:
    """Return how much to send at once: a tenth of a second's worth where the rate is bounded."""
    return _PIECE_BYTES if fault.bytes_per_s is None else max(min(_PIECE_BYTES, fault.bytes_per_s // 10), 1)
