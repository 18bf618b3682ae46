"""Several files fetched at once, each whole and of the hash that it must have; the first failure ends the others."""

import errno
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodestack_weights import WeightsError, room
from nodestack_weights.guard import Progress
from nodestack_weights.manifest import Entry
from nodestack_weights.order import Order
from nodestack_weights.throttle import Throttle
from nodestack_weights.transfer import Stopped, Transport


class Fetching:
    """Brings files of one commit into its staging directory.

    Attributes:
        fetched: What came and was verified.
        on_disk_at: When the last of it was on the disk, on the monotonic clock; None before anything was.
    """

    def __init__(self, order: Order, stop: Callable[[], bool], progress: Progress) -> None:
        self.fetched: list[Entry] = []
        self.on_disk_at: float | None = None
        self._order = order
        self._places = order.places
        self._throttle = Throttle(order.limit_bytes_per_s)
        self._stop = stop
        self._progress = progress
        self._failed = threading.Event()

    def begin(self, text: str, total_bytes: int, done_bytes: int) -> Transport:
        """Name what is fetched next and how much of it is there, and return what fetches it."""
        order, on_bytes = self._order, self._progress.begin(text, total_bytes, done_bytes)
        return Transport(order.source, order.patience, self._throttle, on_bytes, self._on_disk, self._is_over)

    def fetch(self, wanted: Sequence[Entry], transport: Transport) -> None:
        """Have each of these files in the staging directory, whole and verified.

        Raises:
            WeightsError: One of them cannot be had.
            Stopped: The run was asked to end.
        """
        # The largest first: at the end there are small ones to share the line, and not one shard that has it alone.
        in_order = sorted(wanted, key=lambda entry: entry.size, reverse=True)
        with ThreadPoolExecutor(self._order.workers) as pool:
            running = [pool.submit(self._fetch_or_end_others, transport, entry) for entry in in_order]
        errors = [error for future in running if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
            raise error

    def part(self, path: str) -> Path:
        """Return where the beginning of a file is."""
        return self._places.staging / f"{path}.part"

    def _is_over(self) -> bool:
        return self._stop() or self._failed.is_set()

    def _on_disk(self) -> None:
        self.on_disk_at = time.monotonic()

    def _fetch_or_end_others(self, transport: Transport, entry: Entry) -> None:
        try:
            self._fetch_one(transport, entry)
        except BaseException:
            self._failed.set()
            raise

    def _fetch_one(self, transport: Transport, entry: Entry) -> None:
        part = self.part(entry.path)
        continued = room.size_of(part) > 0
        while True:
            try:
                found = transport.fetch(entry.path, entry.size, part)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise room.shortage(self._places, entry.size - room.size_of(part)) from error
                raise
            if found == entry.sha256:
                part.replace(self._places.staging / entry.path)
                self.fetched.append(entry)
                return
            transport.on_bytes(-entry.size)
            part.unlink()
            if not continued:
                raise WeightsError(f"{entry.path} came with SHA-256 {found} instead of {entry.sha256}: try another hub")
            # What it was continued from may have been damaged: once more, all of it.
            continued = False
