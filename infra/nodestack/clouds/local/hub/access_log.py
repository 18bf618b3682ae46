"""What was asked of the hub and how much was sent, one JSON object a line; never a header, so never a token."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self


class AccessLog:
    """Appends one line for each answer, after its last byte.

    A line holds `time`, `method`, `path`, `range` (the request's, or null), `status` and `bytes` (sent of the body).
    """

    def __init__(self, path: Path | None) -> None:
        self._descriptor: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def write(self, *, method: str, path: str, asked_range: str | None, status: int, sent_bytes: int) -> None:
        """Append one line in one write, so that lines never mix."""
        if self._descriptor is None:
            return
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": method,
            "path": path,
            "range": asked_range,
            "status": status,
            "bytes": sent_bytes,
        }
        os.write(self._descriptor, (json.dumps(entry) + "\n").encode())
