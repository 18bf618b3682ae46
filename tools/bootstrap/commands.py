"""The programs a part needs from the distribution: found, or installed where that is ours to do."""

import importlib.util
import os
import shutil
from collections.abc import Callable

from bootstrap.checkout import Checkout, SetupError
from bootstrap.processes import Processes

# Where a distribution keeps administration programs; a user's PATH often leaves them out.
ADMINISTRATION = "/usr/local/sbin:/usr/sbin:/sbin"


def _is_there(evidence: str) -> bool:
    if evidence.startswith("module:"):
        return importlib.util.find_spec(evidence.removeprefix("module:")) is not None
    return shutil.which(evidence, path=f"{os.environ.get('PATH', os.defpath)}:{ADMINISTRATION}") is not None


def missing(checkout: Checkout, part: str, is_there: Callable[[str], bool] = _is_there) -> list[str]:
    """Return the distribution packages this part still needs, by name."""
    wanted: dict[str, str] = checkout.versions["commands"].get(part, {})
    return [package for package, evidence in wanted.items() if not is_there(evidence)]


def install(packages: list[str], processes: Processes) -> None:
    """Install packages with apt.

    Raises:
        SetupError: Not root, no apt, or apt failed; names the packages either way.
    """
    command = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"these programs are needed and this machine has no apt: install {', '.join(packages)}")
    if os.geteuid() != 0:
        raise SetupError(f"missing {', '.join(packages)}, and only root may install: run `sudo {command}`")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    processes.fetch("commands", ["apt-get", "update", "--quiet"], environment=environment)
    processes.fetch("commands", command.split(), environment=environment)
