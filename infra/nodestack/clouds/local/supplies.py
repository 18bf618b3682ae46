"""Fetch and build all that local nodes are made of, side by side, with a line for each part that took its time."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodestack.clouds.base import Progress
from nodestack.clouds.local import drivers, image, tiny_model, wheels

IMAGE = "node image"

PARTS: dict[str, Callable[[], Path]] = {
    IMAGE: image.directory,
    "engine wheels": wheels.directory,
    "driver packages": drivers.repository,
    "tiny model": tiny_model.repository,
}

_WORTH_TELLING_S = 1.0


def to_terminal(line: str) -> None:
    """Show a line to whoever watches the command."""
    print(line, file=sys.stderr, flush=True)


def prepare(progress: Progress = to_terminal) -> dict[str, Path]:
    """Make sure every part is in the cache; return the directory of each.

    Args:
        progress: Takes a line for each part that had to be waited for, from any thread.

    Raises:
        CloudError: A part cannot be had; the message says which and why.
    """
    with ThreadPoolExecutor(len(PARTS)) as pool:
        running = {part: pool.submit(_timed, part, build, progress) for part, build in PARTS.items()}
        return {part: directory.result() for part, directory in running.items()}


def _timed(part: str, build: Callable[[], Path], progress: Progress) -> Path:
    started = time.monotonic()
    directory = build()
    seconds = time.monotonic() - started
    if seconds >= _WORTH_TELLING_S:
        progress(f"{part}: ready after {seconds:.1f} s")
    return directory
