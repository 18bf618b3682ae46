"""Whether the volume has room for what is still to come."""

import os
from pathlib import Path

from nodestack_weights import WeightsError
from nodestack_weights.layout import Layout

_GIB = 1024**3


def is_enough(places: Layout, needed_bytes: int) -> bool:
    """Return whether the file system can hold this many bytes more."""
    places.root.mkdir(parents=True, exist_ok=True)
    return needed_bytes <= _free_bytes(places.root)


def refuse_if_short(places: Layout, needed_bytes: int) -> None:
    """Raise a WeightsError when it cannot."""
    if not is_enough(places, needed_bytes):
        raise shortage(places, needed_bytes)


def shortage(places: Layout, needed_bytes: int) -> WeightsError:
    """Return the error that names the needed and the free bytes, and the size that would do."""
    status = os.statvfs(places.root)
    free_bytes = _free_bytes(places.root)
    enough_bytes = status.f_blocks * status.f_frsize + max(needed_bytes - free_bytes, 0)
    others = ", ".join(str(path) for path in places.other_commits())
    hint = f", or remove what is not needed any more ({others})" if others else ""
    return WeightsError(
        f"the weights need {needed_bytes} bytes more on {places.root}, {free_bytes} bytes are free: "
        f"make the volume larger than {-(-enough_bytes // _GIB)} GiB{hint}; what is there was left as it is"
    )


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _free_bytes(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
