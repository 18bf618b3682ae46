"""Files that readers see whole: the old one or the new one, never a part."""

import os
import pathlib


def write(path: pathlib.Path, text: str) -> None:
    """Replace a file that everyone may read.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(0o644)
    unfinished.replace(path)
