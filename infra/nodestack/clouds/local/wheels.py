"""The wheels of the local node's engine: fetched once by the locks of the roles, served to nodes as a flat index."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from nodestack.clouds.local.cache import cache_root, cached, locked
from nodestack.errors import CloudError

PLAYBOOKS = Path(__file__).parents[4] / "playbooks"
"""Where the roles and their locks are, in this checkout."""

NODE_PYTHON = "3.11"
"""The system Python of the local node's image, Debian 12."""

GLIBC_MINOR = 36
"""glibc 2.36, as Debian 12 has it: wheels that ask for a newer one do not load on the node."""

AT_ONCE = 3
"""pip processes side by side; more of them only wait for each other's hashing on two cores."""

PER_PROCESS = 6
"""Wheels one pip process fetches: it keeps them only once all are there, so this is what a kill can cost."""


class Pinned(NamedTuple):
    """One requirement of a lock file that holds on the node.

    Attributes:
        name: Canonical name.
        version: Exact version.
        hashes: SHA-256 of every file that may be used, in hex.
    """

    name: str
    version: str
    hashes: frozenset[str]

    def line(self) -> str:
        """Return it as a line of a requirements file, its markers already judged."""
        hashes = "".join(f" --hash=sha256:{digest}" for digest in sorted(self.hashes))
        return f"{self.name}=={self.version}{hashes}"


def directory(python: str = NODE_PYTHON) -> Path:
    """Return a directory with every wheel the roles install on a local node; fetched where it is missing.

    Complete or not at all; what was fetched before a kill is kept and not fetched again. Progress goes to stderr.

    Args:
        python: Version of the node's system Python, e.g. "3.11".

    Raises:
        CloudError: A wheel could not be fetched; says what pip said.
    """
    locks = lock_files()
    key = b"\0".join([python.encode(), *(path.read_bytes() for path in locks)])
    return cached("wheels", key, lambda target: _fill(target, locks, python))


def lock_files() -> list[Path]:
    """Return the lock files of all roles, less those that only a node with real GPUs uses."""
    found = sorted((PLAYBOOKS / "roles").glob("*/files/requirements*.txt"))
    return [path for path in found if not path.stem.endswith("-cuda")]


def pinned(lock: str, python: str) -> Iterator[Pinned]:
    """Yield what a lock file made by `uv pip compile --generate-hashes` asks for on the node.

    >>> list(pinned("a==1 ; sys_platform == 'linux' --hash=sha256:00\\nb==2 ; sys_platform == 'win32'", "3.11"))
    [Pinned(name='a', version='1', hashes=frozenset({'00'}))]
    """
    environment = {
        "implementation_name": "cpython",
        "platform_machine": platform.machine(),
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "os_name": "posix",
        "sys_platform": "linux",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    lines = (line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        words = entry.split("--hash=sha256:")
        requirement = Requirement(words[0])
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = str(requirement.specifier).removeprefix("==")
            yield Pinned(canonicalize_name(requirement.name), version, frozenset(word.strip() for word in words[1:]))


def _fill(target: Path, locks: Sequence[Path], python: str) -> None:
    wanted = _together(found for path in locks for found in pinned(path.read_text(), python))
    store = cache_root() / "wheel-files" / python
    with locked(store.with_name(f"{python}.lock")):
        store.mkdir(exist_ok=True)
        present = _present(store, wanted, python)
        missing = [one for one in wanted if one not in present]
        if missing:
            _fetch(store, missing, python)
            present |= _present(store, missing, python)
        for one in wanted:
            if one not in present:
                raise CloudError(
                    f"no wheel of {one.name} {one.version} is what the lock says: lock again with `make lock`"
                )
            os.link(present[one], target / present[one].name)


def _together(found: Iterable[Pinned]) -> list[Pinned]:
    """Return each version once: locks made at different times may know different files of it."""
    hashes: dict[tuple[str, str], frozenset[str]] = {}
    for one in found:
        hashes[one.name, one.version] = hashes.get((one.name, one.version), frozenset()) | one.hashes
    return [Pinned(name, version, known) for (name, version), known in sorted(hashes.items())]


def _present(store: Path, wanted: Sequence[Pinned], python: str) -> dict[Pinned, Path]:
    """Return the stored wheels that fit the node and whose content is what the lock says."""
    by_name = {(one.name, one.version): one for one in wanted}
    fitting = frozenset(_tags(python))
    found: dict[Pinned, Path] = {}
    for path in sorted(store.glob("*.whl")):
        name, version, _, tags = parse_wheel_filename(path.name)
        one = by_name.get((name, str(version)))
        if one and one not in found and tags & fitting and _sha256(path) in one.hashes:
            found[one] = path
    return found


def _fetch(store: Path, missing: Sequence[Pinned], python: str) -> None:
    # Every n-th: the largest wheels stand side by side in the alphabet.
    stride = -(-len(missing) // PER_PROCESS)
    groups = [missing[first::stride] for first in range(stride)]
    done = 0
    print(f"wheels: fetching {len(missing)}, about 2.6 GB in all", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count in pool.map(lambda group: _download(store, group, python), groups):
            done += count
            print(f"wheels: {done} of {len(missing)} fetched", file=sys.stderr, flush=True)


def _download(store: Path, group: Sequence[Pinned], python: str) -> int:
    platforms = dict.fromkeys(tag.platform for tag in _tags(python) if tag.platform != "any")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--only-binary", ":all:", "--dest", str(store)]
    command += ["--python-version", python, "--implementation", "cp"]
    command += [word for name in platforms for word in ("--platform", name)]
    lines = "\n".join(one.line() for one in group)
    command += ["--requirement", "/dev/stdin"]
    run = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        said = run.stderr.strip().splitlines() or ["nothing"]
        reason = next((line for line in said if line.startswith("ERROR")), said[-1])
        raise CloudError(
            f"the engine's wheels were not fetched, pip said {reason!r}: check this machine's package index"
        )
    return len(group)


def _tags(python: str) -> Iterator[Tag]:
    """Yield the wheel tags the node takes, best first."""
    major, minor = (int(part) for part in python.split("."))
    machine = platform.machine()
    platforms = [f"manylinux_2_{glibc}_{machine}" for glibc in range(GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}", f"linux_{machine}"]
    yield from cpython_tags((major, minor), platforms=platforms)
    yield from compatible_tags((major, minor), f"cp{major}{minor}", platforms)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
