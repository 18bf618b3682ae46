"""The node's progress file, and the other small files that are replaced as a whole."""

import json
import os
import time
from pathlib import Path
from typing import Any


def replace_file(path: Path, text: str) -> None:
    """Write a file that anyone may read so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file, an empty one where there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class Progress:
    """Says what is going on, at most once a second; gone when it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_at = float("-inf")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    def show(self, text: str, done_bytes: int | None = None, total_bytes: int | None = None) -> None:
        """Show a line, with how far it is where that is known."""
        if time.monotonic() - self._written_at < 1:
            return
        self._written_at = time.monotonic()
        content: dict[str, str | int] = {"role": "vllm", "text": text}
        if done_bytes is not None and total_bytes is not None:
            content |= {"done_bytes": min(done_bytes, total_bytes), "total_bytes": total_bytes}
        replace_file(self._path, json.dumps(content) + "\n")
