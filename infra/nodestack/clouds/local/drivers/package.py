"""Builds the stand-in packages with dpkg-deb: the same sources give the same bytes."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from nodestack.clouds.base import Frozen
from nodestack.clouds.local.commands import run

HERE = Path(__file__).parent
PAYLOAD = HERE / "payload"
# 2025-10-01, about when the newest stand-in's original was published; any fixed moment does.
_EPOCH = 1759276800
_BUILD = ("dpkg-deb", "--root-owner-group", "-Zgzip", "--build")


class Release(Frozen):
    """A driver version.

    Attributes:
        version: Exact version, e.g. 580.95.05.
        branch: What Ubuntu puts into package names.
        cuda: Newest CUDA version it runs.
        without: Parts that were not published of it.
    """

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    branch: str
    cuda: str
    without: tuple[str, ...] = ()


class Part(Frozen):
    """One of the packages a driver is divided into.

    Attributes:
        summary: One line for the package's description.
        virtual: Name that only one installed package may provide.
        depends: Parts of the same version that it needs.
        unit: The service it brings.
        files: Path on the node -> payload file.
        links: Path on the node -> target of the symbolic link.
        scripts: Maintainer script -> payload file.
    """

    summary: str
    virtual: str
    depends: tuple[str, ...] = ()
    unit: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)
    scripts: dict[str, str] = Field(default_factory=dict)


class Family(Frozen):
    """How a distribution names and numbers the packages.

    Attributes:
        revision: What follows the driver's version after a dash.
        names: Part -> branch, or any -> package name; parts that are not named are not in it.
    """

    revision: str
    names: dict[str, dict[str, str]]

    def package_name(self, part: str, release: Release) -> str:
        """Return the name of a part's package for a driver version."""
        names = self.names[part]
        return names.get(release.branch, names["any"]).format(branch=release.branch)


class Packages(Frozen):
    """Everything there is to build: each part, for each release, in each family's names."""

    date: str
    releases: tuple[Release, ...]
    families: dict[str, Family]
    parts: dict[str, Part]


@cache
def packages() -> Packages:
    """Return what packages.yaml declares."""
    return Packages.model_validate(yaml.safe_load((HERE / "packages.yaml").read_text()))


def sources() -> bytes:
    """Return everything the packages are made from, as the cache's key material."""
    files = sorted(path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    named = [(path.relative_to(HERE).as_posix().encode(), path.read_bytes()) for path in files]
    return b"\0".join(part for pair in named for part in pair)


def parts_of(family: Family, release: Release) -> list[str]:
    """Return the parts that a family has of a release."""
    return [part for part in packages().parts if part in family.names and part not in release.without]


def build_all(directory: Path, scratch: Path) -> None:
    """Build every package into a directory.

    Raises:
        CloudError: dpkg-deb refused.
    """
    for family in packages().families.values():
        for release in packages().releases:
            for part in parts_of(family, release):
                name = family.package_name(part, release)
                tree = scratch / f"{name}_{release.version}-{family.revision}"
                _lay_out(tree, part, family, release)
                _settle_times(tree)
                run(
                    ["env", f"SOURCE_DATE_EPOCH={_EPOCH}", *_BUILD, str(tree), str(directory)],
                    doing=f"building {name} with dpkg-deb",
                )


def control(part: str, family: Family, release: Release) -> str:
    """Return a package's control file."""
    described = packages().parts[part]
    version = f"{release.version}-{family.revision}"
    depends = [f"{family.package_name(other, release)} (= {version})" for other in described.depends]
    fields = {
        "Package": family.package_name(part, release),
        "Version": version,
        "Architecture": "all",
        "Maintainer": "nodestack <nodestack@localhost>",
        "Section": "non-free/admin",
        "Priority": "optional",
        "Depends": ", ".join([*depends, "python3"] if part == "utils" else depends),
        "Provides": described.virtual,
        "Conflicts": described.virtual,
        "Replaces": described.virtual,
        "Description": f"{described.summary} (stand-in that replays recorded hardware)",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def _lay_out(tree: Path, part: str, family: Family, release: Release) -> None:
    """Write a package's tree as dpkg-deb wants it."""
    described = packages().parts[part]
    values = {"LIBRARY_VERSION": release.version, "LIBRARY_CUDA": release.cuda, "UNIT": described.unit}
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(control(part, family, release))
    for script, payload in described.scripts.items():
        _write(tree / "DEBIAN" / script, payload, values)
    for destination, payload in described.files.items():
        _write(tree / destination.removeprefix("/"), payload, values)
    for destination, target in described.links.items():
        link = tree / destination.removeprefix("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _write(path: Path, payload: str, values: dict[str, str]) -> None:
    """Write a payload file with the release's values in it; what starts with #! may be run."""
    text = (PAYLOAD / payload).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if text.startswith("#!") else 0o644)


def _settle_times(tree: Path) -> None:
    """Give everything the same time and directories the same mode, whatever the umask."""
    for path in _walk(tree):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (_EPOCH, _EPOCH), follow_symlinks=False)


def _walk(tree: Path) -> Iterator[Path]:
    yield tree
    yield from tree.rglob("*")
