"""One file by HTTP ranges, continued where it was cut, also by another process.

`hf_hub_download` does not continue a former process's download since huggingface_hub 1.18 (its temporary files have
random names and are removed on failure), and Xet storage writes files out of order. A beginning that is only ever
appended to can be continued after any kill, so files come over plain HTTP here, several at once. The client still
supplies sessions, addresses and redirects.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import httpx2
from huggingface_hub import get_session, hf_hub_url

from nodestack_weights import WeightsError
from nodestack_weights.hub import Source

_PARTIAL, _WHOLE, _BEYOND_THE_END = 206, 200, 416
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class Patience(NamedTuple):
    """How long to bear with a transfer.

    Attributes:
        stall_s: Seconds without enough data after which a connection is dropped and the file continued on a new one.
        minimum_bytes_per_s: What counts as enough.
        fruitless_attempts: Attempts in a row that may bring nothing before the file is given up.
        longest_pause_s: Longest pause between two attempts; they double from one second on.
    """

    stall_s: float = 30.0
    minimum_bytes_per_s: int = 1024
    fruitless_attempts: int = 6
    longest_pause_s: float = 15.0


class Stopped(Exception):
    """The run was asked to end."""


class _Dropped(Exception):
    """A connection brought what it could; the next one continues."""


class Transport(NamedTuple):
    """Fetches files of one commit.

    Attributes:
        source: Where from.
        patience: When to drop a connection, when to give up.
        on_bytes: Gets the number of bytes that came in; negative when some had to be thrown away.
        stopped: Once true, Stopped is raised at the next piece.
    """

    source: Source
    patience: Patience
    on_bytes: Callable[[int], None]
    stopped: Callable[[], bool]

    def fetch(self, path: str, size: int, part: Path) -> None:
        """Bring `part` to `size` bytes, continuing what is in it.

        Args:
            path: File in the repository.
            size: Its size in bytes, from the hub's listing.
            part: Where its beginning is, or will be.

        Raises:
            WeightsError: The hub refuses the file, or nothing comes any more.
            OSError: It cannot be written.
            Stopped: The run was asked to end; what came in is kept.
        """
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab", buffering=0) as file:
            if file.tell() > size:
                self._throw_away(file)
            fruitless = 0
            while (before := file.seek(0, os.SEEK_END)) < size:
                reason = self._continue(path, file, before)
                fruitless = 0 if file.seek(0, os.SEEK_END) > before else fruitless + 1
                if fruitless >= self.patience.fruitless_attempts:
                    raise WeightsError(
                        f"{path} came to byte {before} of {size} and no further in {fruitless} attempts ({reason}): "
                        "check the node's network and run again, which continues there"
                    )
                self._pause(min(2.0 ** (fruitless - 1), self.patience.longest_pause_s) if fruitless else 0.0)
            os.fsync(file.fileno())

    def _continue(self, path: str, file: BinaryIO, have: int) -> str:
        """Append what one connection brings; return why it ended."""
        source = self.source
        # The bytes of the file are wanted, not a compressed form of them.
        headers = {"Accept-Encoding": "identity", "User-Agent": "nodestack"}
        if source.token:
            # The session drops it when it is redirected to another host.
            headers["Authorization"] = f"Bearer {source.token}"
        if have:
            headers["Range"] = f"bytes={have}-"
        url = hf_hub_url(source.repository, path, revision=source.commit, endpoint=source.endpoint)
        try:
            with get_session().stream("GET", url, headers=headers, timeout=self.patience.stall_s) as response:
                self._refuse_errors(response, path)
                if not _continues_at(response, have):
                    self._throw_away(file)
                    if response.status_code != _WHOLE:
                        return f"the hub could not continue at byte {have}"
                self._append(response, file)
        except (httpx2.HTTPError, httpx2.StreamError, _Dropped) as ended:
            return str(ended) or type(ended).__name__
        return "the connection ended"

    def _append(self, response: httpx2.Response, file: BinaryIO) -> None:
        window_began, window_bytes = time.monotonic(), 0
        for piece in response.iter_raw():
            if self.stopped():
                raise Stopped
            _write_all(file, piece)
            self.on_bytes(len(piece))
            window_bytes += len(piece)
            elapsed_s = time.monotonic() - window_began
            if elapsed_s >= self.patience.stall_s:
                if window_bytes < elapsed_s * self.patience.minimum_bytes_per_s:
                    raise _Dropped(f"only {window_bytes} bytes came in {elapsed_s:.0f} s")
                window_began, window_bytes = time.monotonic(), 0

    def _refuse_errors(self, response: httpx2.Response, path: str) -> None:
        status = response.status_code
        if status == _BEYOND_THE_END:
            return
        if status in _TRANSIENT:
            raise _Dropped(f"the hub answered {status}")
        if response.is_error:
            source = self.source
            raise WeightsError(
                f"the hub {source.endpoint} answered {status} for {path} at commit {source.commit} of "
                f"{source.repository}: check that the commit is complete there and the token may read it"
            )

    def _throw_away(self, file: BinaryIO) -> None:
        self.on_bytes(-file.seek(0, os.SEEK_END))
        file.truncate(0)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            if self.stopped():
                raise Stopped
            if (left := until - time.monotonic()) <= 0:
                return
            time.sleep(min(left, 0.2))


def _continues_at(response: httpx2.Response, have: int) -> bool:
    """Return whether a body is what follows the first `have` bytes."""
    if have == 0:
        return response.status_code in {_WHOLE, _PARTIAL}
    return response.status_code == _PARTIAL and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _write_all(file: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]
