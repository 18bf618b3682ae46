"""Stand-in driver packages: real Debian packages, named and versioned like NVIDIA's, that replay recorded hardware."""

import shutil
import tempfile
from pathlib import Path

from nodestack.clouds.local.cache import cached
from nodestack.clouds.local.drivers.archive import publish
from nodestack.clouds.local.drivers.package import build_all, sources
from nodestack.errors import HostUnsuitable

__all__ = ["repository"]

_TOOLS = {"dpkg-deb": "dpkg", "apt-ftparchive": "apt-utils", "gpg": "gnupg", "gpgconf": "gnupg"}


def repository() -> Path:
    """Return the directory of the signed apt repository with the stand-in packages, built where it is missing.

    It is flat (`Suites: ./`), and key.asc beside the packages is what its Release is signed with.

    Raises:
        HostUnsuitable: A tool is missing on this machine.
        CloudError: A package could not be built.

    >>> (repository() / "InRelease").exists()  # doctest: +SKIP
    True
    """
    return cached("drivers", sources(), _build)


def _build(directory: Path) -> None:
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise HostUnsuitable(
            f"driver packages cannot be built here: install {' '.join(missing)} (apt-get install {' '.join(missing)})"
        )
    with tempfile.TemporaryDirectory(prefix="nodestack-drivers-") as scratch:
        build_all(directory, Path(scratch))
    publish(directory)
