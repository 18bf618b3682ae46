"""Where things are in a checkout and what set-up installs: read once, passed on frozen."""

import hashlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast


class SetupError(Exception):
    """Set-up cannot go on; the message is one line for a person and says what to do."""


@dataclass(frozen=True)
class Checkout:
    """One checkout of the project.

    Attributes:
        root: Its directory, absolute.
        versions: What `tools/versions.toml` says.
    """

    root: Path
    versions: dict[str, Any]

    @classmethod
    def at(cls, root: Path) -> "Checkout":
        """Read a checkout's versions.

        Raises:
            OSError: There is no `tools/versions.toml`.
        """
        return cls(root=root, versions=tomllib.loads((root / "tools" / "versions.toml").read_text()))

    @property
    def tools(self) -> Path:
        """The directory of set-up's own files."""
        return self.root / "tools"

    @property
    def state(self) -> Path:
        """The directory of everything that belongs to this checkout and is not tracked."""
        return self.root / ".nodestack"

    @property
    def python(self) -> Path:
        """The interpreter everything runs with once it is set up."""
        return self.root / ".venv" / "bin" / "python"


def digest(*parts: bytes | str | Path) -> str:
    """Return the SHA-256 of texts and of files' contents, each with its length, so that no two lists are alike."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Have a file or link made beside its place and moved there, so that nobody sees half of it."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    make(new)
    new.replace(path)


def _cache_module() -> ModuleType:
    """Load the package's cache by its file: importing the package would need what is not installed yet."""
    name = "nodestack_cache"
    if name not in sys.modules:
        path = Path(__file__).parents[2] / "infra" / "nodestack" / "clouds" / "local" / "cache.py"
        specification = importlib.util.spec_from_file_location(name, path)
        if specification is None or specification.loader is None:
            raise SetupError(f"{path} cannot be loaded: is this checkout complete?")
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        specification.loader.exec_module(module)
    return sys.modules[name]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return a directory of the shared cache, built once; see the package's `cached`."""
    return cast(Path, _cache_module().cached(kind, key.encode(), build))


def cache_root() -> Path:
    """Return the directory of all shared caches."""
    return cast(Path, _cache_module().cache_root())


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold an exclusive lock on a file; see the package's `locked`."""
    return cast(AbstractContextManager[None], _cache_module().locked(path))
