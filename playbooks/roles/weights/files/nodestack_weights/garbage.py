"""What takes room on the volume and is needed by nobody: commits other than the current and the former one.

Removed are only names that this package gives, and nothing that a process has open.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nodestack_weights.layout import Layout

_COMMIT = r"[0-9a-f]{40}"
_VERSION = re.compile(rf"({_COMMIT})(\.staging|\.removed)?")
_MANIFEST = re.compile(rf"({_COMMIT})\.manifest\.json")
_TEMPORARY = re.compile(rf"\.(current|former|{_COMMIT}\.manifest\.json)\.\d+")
_BLOCK_BYTES = 512


class Collected(NamedTuple):
    """What came of it.

    Attributes:
        freed_bytes: Room that was freed.
        removed: What was removed, by path below the weights' directory.
        in_use: What nobody needs but a process still has open.
    """

    freed_bytes: int = 0
    removed: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()

    def __add__(self, other: object) -> "Collected":
        if not isinstance(other, Collected):
            return NotImplemented
        return Collected(self.freed_bytes + other.freed_bytes, self.removed + other.removed, other.in_use)


def collect(places: Layout, processes: Path = Path("/proc")) -> Collected:
    """Remove what is neither current nor former nor the commit at hand; the lock of the weights must be held.

    Args:
        places: The commit at hand.
        processes: Where the running processes are looked up.
    """
    found = list(_versions(places))
    opened = _opened(places.root, processes) if found else set()
    in_use = {path for path in found if any(path == file or path in file.parents for file in opened)}
    removed, freed_bytes = [], 0
    for path in [path for path in found if path not in in_use]:
        freed_bytes += _room_of(path)
        _remove(path)
        removed.append(path)
    for path in list(_small(places)):
        freed_bytes += _room_of(path)
        path.unlink()
        removed.append(path)
    for model in _models(places.root):
        if model != places.model and not any(model.iterdir()):
            model.rmdir()
    return Collected(freed_bytes, _names(places, removed), _names(places, in_use))


def _versions(places: Layout) -> Iterator[Path]:
    """Yield the directories of commits that nobody needs, and what was fetched of such."""
    kept = {*places.kept(), places.staging}
    for model in _models(places.root):
        found = (path for path in model.iterdir() if path.is_dir() and not path.is_symlink())
        yield from (path for path in found if path not in kept and _VERSION.fullmatch(path.name))


def _small(places: Layout) -> Iterator[Path]:
    """Yield manifests without a commit, and what a run that was cut off left beside them."""
    kept = set(places.kept())
    yield from (path for path in places.root.iterdir() if _TEMPORARY.fullmatch(path.name))
    for model in _models(places.root):
        for path in model.iterdir():
            of = _MANIFEST.fullmatch(path.name)
            is_alone = of and model / of[1] not in kept and not (model / of[1]).exists()
            if is_alone or _TEMPORARY.fullmatch(path.name):
                yield path


def _models(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink() and "--" in path.name]


def _opened(root: Path, processes: Path) -> set[Path]:
    """Return the files and directories below `root` that any process has open, mapped, or as its working directory."""
    below = f"{os.path.realpath(root)}/"
    found: set[str] = set()
    for process in processes.iterdir():
        if process.name.isdigit():
            found.update(path for path in _opened_by(process) if path.startswith(below))
    return {root / path.removeprefix(below) for path in found}


def _opened_by(process: Path) -> Iterator[str]:
    """Yield the paths one process has in use; one that ends meanwhile has none."""
    links = [process / "cwd", process / "root"]
    try:
        links += (process / "fd").iterdir()
        for line in (process / "maps").read_text(errors="surrogateescape").splitlines():
            yield line.partition("/")[1] + line.partition("/")[2]
    except OSError:
        pass
    for link in links:
        try:
            yield os.readlink(link)
        except OSError:
            continue


def _room_of(path: Path) -> int:
    inside = (Path(parent) / name for parent, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_blocks * _BLOCK_BYTES for file in (inside if path.is_dir() else [path]))


def _names(places: Layout, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(places.root)) for path in paths))


def _remove(path: Path) -> None:
    # A commit's directory is complete or not there, also when this is cut off in the middle.
    gone = path if path.name.endswith(".removed") else path.with_name(f"{path.name.removesuffix('.staging')}.removed")
    if gone != path:
        if gone.exists():
            shutil.rmtree(gone)
        path.rename(gone)
    shutil.rmtree(gone)
