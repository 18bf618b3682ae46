"""What the role reads from the node and from repositories, and the package names it asks for."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from nodestack.clouds.local.drivers.package import packages, parts_of

ROLE = Path(__file__).parents[3] / "playbooks/roles/nvidia_driver"


def _filters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nvidia_driver_filters", ROLE / "filter_plugins/nvidia_driver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


filters = _filters()


@pytest.mark.parametrize(
    ("text", "module"),
    [
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  "
            "(dvs-builder@U22-I3-B17-02-5)  Tue Sep 23 09:55:41 UTC 2025\n"
            "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04.2)\n",
            {"version": "580.95.05", "open": True},
        ),
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n",
            {"version": "550.54.15", "open": False},
        ),
        ("", {"version": "", "open": False}),
        ("NVRM version: something else 580.95.05 \n", {"version": "", "open": False}),
    ],
)
def test_the_loaded_module_is_known_by_what_the_kernel_shows(text: str, module: dict[str, object]) -> None:
    assert filters.loaded_module(text) == module


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["580.95.05"] * 8, "580.95.05"),
        (["580.95.05", "550.54.15"], ""),
        (["No devices were found"], ""),
        (["[N/A]"], ""),
        ([], ""),
    ],
)
def test_tools_that_do_not_agree_on_a_version_say_none(lines: list[str], version: str) -> None:
    assert filters.one_version(lines) == version


LISTED = [
    "hi  nvidia-driver-cuda 580.95.05-1",
    "ii  nvidia-fabricmanager 1:580.95.05-1",
    "un  nvidia-fabricmanager-550 ",
    "rc  nvidia-fabricmanager-535 535.1.1-1",
    "ii  nvidia-fabricmanager-dev 570.1.2-1",
]


def test_only_installed_packages_of_the_very_name_have_a_version() -> None:
    assert filters.package_versions(LISTED, r"nvidia-fabricmanager(-\d+)?") == ["580.95.05"]
    assert filters.package_versions(LISTED, "libnvidia-nscq.*") == []
    assert filters.installed_packages(LISTED, True) == ["nvidia-driver-cuda"]
    assert filters.installed_packages(LISTED, False) == ["nvidia-fabricmanager", "nvidia-fabricmanager-dev"]


MADISON = [
    " nvidia-fabricmanager | 580.126.09-1 | http://r ./ Packages",
    " nvidia-fabricmanager | 580.95.05-1 | http://r ./ Packages",
    " nvidia-driver-cuda | 1:580.95.05-0ubuntu1 | http://r ./ Packages",
    " nvidia-smi | 580.95.050-1 | http://r ./ Packages",
]


def test_a_part_is_chosen_in_exactly_the_wanted_version_by_the_preferred_name() -> None:
    parts = [
        ["nvidia-driver-cuda", "nvidia-smi"],
        ["nvidia-fabricmanager-{branch}", "nvidia-fabricmanager"],
        ["libnvidia-nscq"],
    ]
    assert filters.choose_packages(MADISON, parts, "580.95.05") == {
        "version": "580.95.05",
        "packages": ["nvidia-driver-cuda=1:580.95.05-0ubuntu1", "nvidia-fabricmanager=580.95.05-1"],
        "lacking": ["libnvidia-nscq"],
    }
    assert filters.choose_packages(MADISON, parts, "580.95")["packages"] == []
    assert (
        filters.choose_packages(MADISON, parts, "550.54.15")["lacking"][1]
        == "nvidia-fabricmanager-550 or nvidia-fabricmanager"
    )


def test_versions_that_are_offered_come_newest_first() -> None:
    assert filters.offered_versions(MADISON) == ["580.126.09", "580.95.050", "580.95.05"]


def test_the_fingerprints_of_a_key_file_are_those_of_its_primary_keys() -> None:
    listed = [
        "pub:-:4096:1:A:1::::::scSC::::",
        f"fpr:::::::::{'A' * 40}:",
        "sub:-:4096:1:B:1:",
        f"fpr:::::::::{'B' * 40}:",
    ]
    assert filters.primary_fingerprints(listed) == ["A" * 40]
    assert filters.primary_fingerprints([*listed, "pub:-:255:22:C:1:", f"fpr:::::::::{'C' * 40}:"]) == [
        "A" * 40,
        "C" * 40,
    ]
    assert filters.primary_fingerprints([]) == []


@pytest.mark.parametrize(
    ("distribution", "families"),
    [("Debian", ["debian"]), ("Ubuntu", ["ubuntu"]), ("Ubuntu", ["ubuntu_cuda", "debian"])],
)
@pytest.mark.parametrize("release", packages().releases, ids=lambda release: release.version)
def test_the_names_of_each_distribution_are_in_the_repository_of_stand_ins(
    distribution: str, families: list[str], release: object
) -> None:
    named = yaml.safe_load((ROLE / "vars" / f"{distribution}.yml").read_text())
    wanted = named["nvidia_driver_parts"] + named["nvidia_driver_fabric_parts"]
    (this,) = [own for own in packages().releases if own is release]
    kept = [packages().families[name] for name in families]
    offered = [
        f" {family.package_name(part, this)} | {this.version}-{family.revision} | r"
        for family in kept
        for part in parts_of(family, this)
    ]
    choice = filters.choose_packages(offered, wanted, this.version)
    # A release that was published without its fabric manager lacks that and nothing else.
    assert len(choice["lacking"]) == len(this.without)
    assert len(choice["packages"]) == len(wanted) - len(this.without)
