"""Reads what a node and its package repositories say of NVIDIA drivers, for the role's tasks."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

VERSION = r"\d+(?:\.\d+)+"
_MODULE = re.compile(rf"NVRM version: NVIDIA UNIX .*?Kernel Module\b(?: for \S+)?\s+({VERSION})\s")
_PACKAGE = re.compile(r"([hi])i\s+(\S+)\s+(?:\d+:)?(\S+)")
_OFFER = re.compile(r"\s*(\S+) \| (\S+) \|")


class Module(TypedDict):
    """The kernel module that is loaded: its version, "" for none, and whether it is the open one."""

    version: str
    open: bool


class Choice(TypedDict):
    """Packages of one version: those chosen, and the parts for which none is offered."""

    version: str
    packages: list[str]
    lacking: list[str]


def loaded_module(text: str) -> Module:
    """Return what /proc/driver/nvidia/version tells of.

    >>> loaded_module("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build")
    {'version': '580.95.05', 'open': True}
    """
    found = _MODULE.search(text)
    return {"version": found[1] if found else "", "open": "Open Kernel Module" in text}


def one_version(lines: Sequence[str]) -> str:
    """Return the version that all lines of nvidia-smi agree on, or "" where there is none.

    >>> one_version(["580.95.05", " 580.95.05"])
    '580.95.05'
    """
    versions = {line.strip() for line in lines}
    only = versions.pop() if len(versions) == 1 else ""
    return only if re.fullmatch(VERSION, only) else ""


def package_versions(lines: Sequence[str], pattern: str) -> list[str]:
    """Return the versions, without what packagers add, of installed packages whose whole name fits a pattern; sorted.

    >>> package_versions(["hi  nvidia-fabricmanager 1:580.95.05-1", "un  nvidia-fabricmanager-550 "], "nvidia-fabric.*")
    ['580.95.05']
    """
    packages = [found for line in lines if (found := _PACKAGE.fullmatch(line.strip())) is not None]
    return sorted({package[3].rsplit("-", 1)[0] for package in packages if re.fullmatch(pattern, package[2])})


def installed_packages(lines: Sequence[str], held: bool) -> list[str]:
    """Return the names of installed packages that are held, or that are not."""
    packages = [found for line in lines if (found := _PACKAGE.fullmatch(line.strip())) is not None]
    return [package[2] for package in packages if (package[1] == "h") is held]


def choose_packages(madison: Sequence[str], parts: Sequence[Sequence[str]], version: str) -> Choice:
    """Return a package for each part, of exactly one driver version.

    Args:
        madison: Lines of `apt-cache madison`.
        parts: For each part its names, the preferred one first, with {branch} where the branch stands.
        version: The driver version.
    """
    offers: dict[str, str] = {}
    for line in madison:
        if (offer := _OFFER.match(line)) is not None and re.sub(r"^\d+:", "", offer[2]).startswith(f"{version}-"):
            offers.setdefault(offer[1], offer[2])
    packages, lacking = [], []
    for part in parts:
        names = part_names([part], [version])
        offered = [f"{name}={offers[name]}" for name in names if name in offers]
        packages += offered[:1]
        lacking += [] if offered else [" or ".join(names)]
    return {"version": version, "packages": packages, "lacking": lacking}


def part_names(parts: Sequence[Sequence[str]], versions: Sequence[str]) -> list[str]:
    """Return all names that the parts may have for these driver versions.

    >>> part_names([["nvidia-fabricmanager-{branch}", "nvidia-fabricmanager"]], ["580.95.05"])
    ['nvidia-fabricmanager-580', 'nvidia-fabricmanager']
    """
    branches = [version.split(".")[0] for version in versions]
    names = [name.format(branch=branch) for part in parts for name in part for branch in branches]
    return list(dict.fromkeys(names))


def offered_versions(madison: Sequence[str]) -> list[str]:
    """Return the driver versions of which anything is offered, newest first."""
    found = {match[1] for line in madison if (match := re.search(rf"\| *(?:\d+:)?({VERSION})-", line)) is not None}
    return sorted(found, key=lambda version: [int(number) for number in version.split(".")], reverse=True)


def primary_fingerprints(colons: Sequence[str]) -> list[str]:
    """Return the fingerprints of the primary keys that `gpg --show-keys --with-colons` lists."""
    found, primary = [], False
    for line in colons:
        fields = line.split(":")
        if fields[0] in {"pub", "sub", "sec", "ssb"}:
            primary = fields[0] in {"pub", "sec"}
        elif fields[0] == "fpr" and primary:
            found.append(fields[9])
            primary = False
    return found


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        own = (
            *(loaded_module, one_version, package_versions, installed_packages),
            *(choose_packages, part_names, offered_versions, primary_fingerprints),
        )
        return {f"nvidia_driver_{function.__name__}": function for function in own}
