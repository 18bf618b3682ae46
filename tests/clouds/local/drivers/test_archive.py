"""The repository is one that apt trusts and installs from, and the same sources give the same packages."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nodestack.clouds.local.drivers.package import build_all, packages, parts_of


class Apt:
    """apt with lists, cache and sources of its own, so that this machine's stay as they are."""

    def __init__(self, directory: Path, repository: Path) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (directory / part).mkdir(parents=True)
        # A key's path must be free of blanks in a sources file.
        (directory / "key.asc").write_bytes((repository / "key.asc").read_bytes())
        uri = repository.as_uri().replace("file://", "file:")
        (directory / "drivers.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: ./\nSigned-By: {directory}/key.asc\n"
        )
        (directory / "status").touch()
        self.options = [
            f"-oDir::State={directory}/state",
            f"-oDir::State::status={directory}/status",
            f"-oDir::Cache={directory}/cache",
            f"-oDir::Etc::SourceList={directory}/drivers.sources",
            "-oDir::Etc::SourceParts=-",
            "-oAPT::Sandbox::User=root",
        ]

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [tool, *self.options, *arguments], capture_output=True, text=True, check=False, env=environment
        )


@pytest.fixture
def apt(tmp_path: Path, repository: Path) -> Apt:
    return Apt(tmp_path / "apt", repository)


def test_apt_trusts_it_and_finds_every_part_in_exactly_one_version(apt: Apt) -> None:
    updated = apt.run("apt-get", "--error-on=any", "update")
    assert updated.returncode == 0, updated.stderr
    for family in packages().families.values():
        for release in packages().releases:
            for part in parts_of(family, release):
                name, version = family.package_name(part, release), f"{release.version}-{family.revision}"
                assert f"{name} | {version} |" in " ".join(apt.run("apt-cache", "madison", name).stdout.split())


def test_the_driver_brings_utils_and_persistence_of_its_own_version(apt: Apt, repository: Path) -> None:
    found = subprocess.run(
        ["dpkg-deb", "--field", next(repository.glob("nvidia-driver-580-server-open_580.95.05-*.deb")), "Depends"],
        capture_output=True,
        text=True,
        check=True,
    )
    version = "580.95.05-0ubuntu0.24.04.1"
    assert found.stdout.strip() == (
        f"nvidia-utils-580-server (= {version}), nvidia-compute-utils-580-server (= {version})"
    )


def test_a_tampered_index_is_refused(apt: Apt, repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    signed = (copy / "InRelease").read_text()
    (copy / "InRelease").write_text(signed.replace("Label: nodestack", "Label: somebody"))
    (copy / "Release.gpg").unlink()
    refused = Apt(tmp_path / "other", copy).run("apt-get", "--error-on=any", "update")
    assert refused.returncode != 0
    assert "BADSIG" in refused.stderr + refused.stdout or "invalid" in refused.stderr


def test_the_private_key_is_nowhere(repository: Path) -> None:
    assert not [path for path in repository.iterdir() if b"PRIVATE KEY" in path.read_bytes()]


def test_the_same_sources_give_the_same_packages_whatever_the_umask(tmp_path: Path, repository: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    before = os.umask(0o077)
    try:
        build_all(again, tmp_path / "scratch")
    finally:
        os.umask(before)
    built = sorted(path.name for path in again.iterdir())
    assert built == sorted(path.name for path in repository.glob("*.deb"))
    assert all((again / name).read_bytes() == (repository / name).read_bytes() for name in built)


def test_there_is_a_driver_for_the_engine_and_older_and_newer_ones() -> None:
    versions = [release.version for release in packages().releases]
    assert versions == ["580.95.05", "580.126.09", "595.71.05", "550.54.15"]
