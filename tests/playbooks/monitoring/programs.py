"""Prometheus and promtool as the distribution's package has them, unpacked and not installed."""

import subprocess
from pathlib import Path

from nodestack.clouds.local.cache import cached

PACKAGES = ("prometheus", "prometheus-node-exporter", "prometheus-alertmanager")


def directory() -> Path:
    """Return where the programs are; fetched with this machine's apt where they are missing (34 MB).

    What is newest for apt today is kept for ever under one name: any version of the release does.
    """
    return cached("monitoring-programs", " ".join(PACKAGES).encode(), _fetch) / "usr" / "bin"


def promtool(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run promtool."""
    command = [str(directory() / "promtool"), *(str(word) for word in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _fetch(target: Path) -> None:
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", "--quiet", package], cwd=target, check=True, capture_output=True)
    for archive in target.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, target], check=True)
        archive.unlink()
