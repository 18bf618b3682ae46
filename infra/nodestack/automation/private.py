"""Files and directories that nobody else on this machine may read."""

import os
from pathlib import Path

DIRECTORY, FILE = 0o700, 0o600


def write(path: Path, text: str) -> Path:
    """Write a file at once and return it: whoever reads sees the former or the whole new one, and nobody else may."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return partial.replace(path)
