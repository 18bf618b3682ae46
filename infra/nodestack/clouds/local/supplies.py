"""Fetch and build all that local nodes are made of, side by side, with a line for each part."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodestack.clouds.local import drivers, image, tiny_model, wheels

PARTS: dict[str, Callable[[], Path]] = {
    "node image": image.directory,
    "engine wheels": wheels.directory,
    "driver packages": drivers.repository,
    "tiny model": tiny_model.repository,
}


def prepare() -> dict[str, float]:
    """Make sure every part is in the cache; return seconds by part.

    Raises:
        CloudError: A part cannot be had; the message says which and why.
    """
    with ThreadPoolExecutor(len(PARTS)) as pool:
        running = {part: pool.submit(_timed, part, build) for part, build in PARTS.items()}
        return {part: seconds.result() for part, seconds in running.items()}


def _timed(part: str, build: Callable[[], Path]) -> float:
    started = time.monotonic()
    build()
    seconds = time.monotonic() - started
    print(f"{part}: ready after {seconds:.1f} s", file=sys.stderr, flush=True)
    return seconds
