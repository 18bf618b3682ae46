"""Makes a flat, signed apt repository from a directory of packages; the key is made for it and forgotten."""

import tempfile
from pathlib import Path

from nodestack.clouds.local.commands import run

KEY_NAME = "nodestack stand-in drivers <nodestack@localhost>"
_DOING = "making the driver repository"


def publish(directory: Path) -> None:
    """Write Packages, Release, InRelease, Release.gpg and key.asc into a directory that holds packages.

    The private key never leaves a temporary directory: whoever changes a package has to build the repository again.

    Raises:
        CloudError: apt-ftparchive or gpg refused.
    """
    (directory / "Packages").write_text(_run(["apt-ftparchive", "packages", "."], directory))
    # Release must not list itself, so it is written once its content is known.
    described = ["-o", "APT::FTPArchive::Release::Origin=nodestack", "-o", "APT::FTPArchive::Release::Label=nodestack"]
    release = _run(["apt-ftparchive", *described, "release", "."], directory)
    (directory / "Release").write_text(release)
    # Short, since the agent's socket is in there and such paths end at 107 characters.
    with tempfile.TemporaryDirectory(prefix="ns-", dir="/tmp") as home:
        _sign(directory, home)


def _sign(directory: Path, home: str) -> None:
    """Make a key, sign Release in both ways apt knows, and leave the public half."""
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    try:
        _run([*gpg, "--quick-generate-key", KEY_NAME, "ed25519", "sign", "never"], directory)
        _run([*gpg, "--clearsign", "--output", "InRelease", "Release"], directory)
        _run([*gpg, "--armor", "--detach-sign", "--output", "Release.gpg", "Release"], directory)
        (directory / "key.asc").write_text(_run([*gpg, "--armor", "--export"], directory))
    finally:
        _run(["gpgconf", "--homedir", home, "--kill", "all"], directory)


def _run(command: list[str], directory: Path) -> str:
    """Run a command in a directory and return what it printed."""
    return run(command, doing=_DOING, cwd=directory)
