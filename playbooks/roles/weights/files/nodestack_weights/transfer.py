"""One file by HTTP ranges, continued where it was cut, also by another process.

`hf_hub_download` does not continue a former process's download since huggingface_hub 1.18 (its temporary files have
random names and are removed on failure), and Xet storage writes files out of order. A beginning that is only ever
appended to can be continued after any kill, so files come over plain HTTP here, several at once, and are hashed
behind that. Each attempt asks the hub itself: a signed address that it redirects to is used once.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nodestack_weights import WeightsError, streams
from nodestack_weights.hub import Source
from nodestack_weights.patience import TRANSIENT, Patience, asked_pause_s, pause
from nodestack_weights.streams import Body, Broken
from nodestack_weights.throttle import Throttle
from nodestack_weights.writing import Growing

_PARTIAL, _WHOLE, _BEYOND_THE_END, _ERRORS = 206, 200, 416, 400
# What object stores answer once a signed address has expired: S3 and CloudFront 403, Google 400, others 401 or 410.
_EXPIRED = frozenset({400, 401, 403, 410})


class Stopped(Exception):
    """The run was asked to end."""


class _Dropped(Exception):
    """A connection brought what it could; the next one continues.

    Attributes:
        pause_s: What the hub asked to wait before that.
    """

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class Transport(NamedTuple):
    """Fetches files of one commit.

    Attributes:
        source: Where from.
        patience: When to drop a connection, when to give up.
        throttle: The bandwidth that all files share.
        on_bytes: Gets the number of bytes that came in; negative when some had to be thrown away.
        on_disk: Called when a whole file is on the disk, before its hash is known.
        stopped: Once true, Stopped is raised at the next piece.
    """

    source: Source
    patience: Patience
    throttle: Throttle
    on_bytes: Callable[[int], None]
    on_disk: Callable[[], None]
    stopped: Callable[[], bool]

    def fetch(self, path: str, size: int, part: Path) -> str:
        """Bring `part` to `size` bytes, continuing what is in it, and return its SHA-256.

        Args:
            path: File in the repository.
            size: Its size in bytes, from the hub's listing.
            part: Where its beginning is, or will be.

        Raises:
            WeightsError: The hub refuses the file, or nothing comes any more.
            OSError: It cannot be written or read.
            Stopped: The run was asked to end; what came in is kept.
        """
        part.parent.mkdir(parents=True, exist_ok=True)
        with Growing(part) as file:
            if file.size > size:
                self._throw_away(file)
            fruitless = 0
            while (before := file.size) < size:
                ended = self._continue(path, file, size)
                fruitless = 0 if file.size > before else fruitless + 1
                if fruitless >= self.patience.fruitless_attempts:
                    raise WeightsError(
                        f"{path} came to byte {before} of {size} and no further in {fruitless} attempts ({ended}): "
                        "check the node's network and run again, which continues there"
                    )
                if fruitless:
                    pause(self.patience.pause_s(fruitless, ended.pause_s), self._end_if_stopped)
            file.settle()
            self.on_disk()
            return file.sha256(self._end_if_stopped)

    def _continue(self, path: str, file: Growing, size: int) -> _Dropped:
        """Append what one connection brings; return why it ended."""
        source, have = self.source, file.size
        # The bytes of the file are wanted, not a compressed form of them.
        headers = {"Accept-Encoding": "identity", "User-Agent": "nodestack"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with streams.get(source.url(path), headers, source.token, self.patience.stall_s) as body:
                self._refuse_errors(body, path)
                if not _continues_at(body, have):
                    self._throw_away(file)
                    if body.status != _WHOLE:
                        return _Dropped(f"the hub could not continue at byte {have}")
                self._append(body, file, size)
        except _Dropped as ended:
            return ended
        except Broken as ended:
            return _Dropped(str(ended))
        return _Dropped("the connection ended")

    def _append(self, body: Body, file: Growing, size: int) -> None:
        window_began, window_bytes = time.monotonic(), 0
        most = self.throttle.most(streams.PIECE_BYTES)
        # A byte more than there should be is enough to see that the file is another one.
        while file.size <= size and (piece := body.read(most)):
            self._end_if_stopped()
            file.append(piece)
            self.on_bytes(len(piece))
            # Waiting for one's own limit is no stall.
            window_began += self.throttle.wait(len(piece))
            window_bytes += len(piece)
            elapsed_s = time.monotonic() - window_began
            if elapsed_s >= self.patience.stall_s:
                if window_bytes < elapsed_s * self.patience.minimum_bytes_per_s:
                    raise _Dropped(f"only {window_bytes} bytes came in {elapsed_s:.0f} s")
                window_began, window_bytes = time.monotonic(), 0

    def _refuse_errors(self, body: Body, path: str) -> None:
        status = body.status
        if status == _BEYOND_THE_END or status < _ERRORS:
            return
        if status in TRANSIENT:
            raise _Dropped(f"the hub answered {status}", asked_pause_s(body.headers))
        if body.redirected and status in _EXPIRED:
            raise _Dropped(f"the address that the hub gave for it answered {status}")
        source = self.source
        raise WeightsError(
            f"the hub {source.endpoint} answered {status} for {path} at commit {source.commit} of "
            f"{source.repository}: check that the commit is complete there and the token may read it"
        )

    def _throw_away(self, file: Growing) -> None:
        self.on_bytes(-file.size)
        file.clear()

    def _end_if_stopped(self) -> None:
        if self.stopped():
            raise Stopped


def _continues_at(body: Body, have: int) -> bool:
    """Return whether a body is what follows the first `have` bytes."""
    if have == 0:
        return body.status in {_WHOLE, _PARTIAL}
    return body.status == _PARTIAL and body.headers.get("Content-Range", "").startswith(f"bytes {have}-")
