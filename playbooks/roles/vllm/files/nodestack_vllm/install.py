"""Install one engine for exactly one lock, on the volume for later nodes too, as vllm-<version>-<build>-<digest>.

Prints {"changed", "engine", "seconds"}. An environment is whole once its marker is there; a half one is built anew.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nodestack_vllm import EngineError
from nodestack_vllm.progress import Progress, replace_file

MARKER = "nodestack-engine.json"
POLL_S = 0.5
PRIVATE_DIRECTORY, PUBLIC_FILE = 0o700, 0o644


class Engine(NamedTuple):
    """What is to be installed, and where.

    Attributes:
        root: Directory of all engines, on the volume.
        name: "vllm-<version>-<build>".
        version: Of vLLM.
        lock: Hash-locked requirements of its environment.
        uv_lock: Hash-locked requirements of its installer.
        additions: Directory with modules that go beside the wheels, with what makes vLLM load them; None for none.
        find_links: URL of a flat index used instead of the package index; "" for the package index.
        size_bytes: About what it takes on the volume.
    """

    root: Path
    name: str
    version: str
    lock: Path
    uv_lock: Path
    additions: Path | None
    find_links: str
    size_bytes: int

    def identity(self) -> dict[str, str]:
        """Return what the environment is made from; another one of these needs another environment."""
        digest = hashlib.sha256(self.lock.read_bytes())
        for path in sorted(self.additions.glob("*.py")) if self.additions else ():
            digest.update(path.read_bytes())
        return {"sha256": digest.hexdigest(), "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}

    def directory(self) -> Path:
        """Return where its environment is."""
        return self.root / f"{self.name}-{self.identity()['sha256'][:8]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="install", description="Install one engine on the volume.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--uv-lock", type=Path, required=True)
    parser.add_argument("--additions", type=Path)
    parser.add_argument("--find-links", default="")
    parser.add_argument("--size-bytes", type=int, default=0)
    parser.add_argument("--progress", type=Path, default=Path("/run/nodestack/progress.json"))
    options = parser.parse_args(arguments)
    engine = Engine(
        options.root, f"vllm-{options.version}-{options.build}", options.version, options.lock, options.uv_lock,
        options.additions, options.find_links, options.size_bytes,
    )  # fmt: skip
    started = time.monotonic()
    try:
        with Progress(options.progress) as progress, _alone(engine.root):
            changed = install(engine, progress)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    seconds = round(time.monotonic() - started, 1)
    print(json.dumps({"changed": changed, "engine": str(engine.directory()), "seconds": seconds}))
    return 0


def install(engine: Engine, progress: Progress) -> bool:
    """Have the engine's environment; return whether it had to be built."""
    target = engine.directory()
    if _is_whole(target, engine.identity()):
        return False
    _make_room(engine, target)
    uv = _uv(engine, progress)
    cache = engine.root / ".uv-cache"
    # uv lets every user write its locks: nobody but root gets at those in there.
    cache.mkdir(exist_ok=True)
    cache.chmod(PRIVATE_DIRECTORY)
    environment = {
        "UV_CACHE_DIR": str(cache),
        "UV_LINK_MODE": "hardlink",
        # The node's own trust store: a company's proxy is in there, and not in uv.
        "UV_SYSTEM_CERTS": "1",
    }
    python = target / "bin" / "python"
    _run([uv, "venv", "--quiet", "--no-config", "--python", sys.executable, target], environment)
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes"]
    command += ["--python", python, "--requirement", engine.lock, *_index(engine)]
    before = _free_bytes(engine.root)
    _run(
        command,
        environment,
        lambda: progress.show(f"installing {engine.name}", before - _free_bytes(engine.root), engine.size_bytes),
    )
    packages = _run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], environment).strip()
    if engine.additions:
        _add(engine.additions, Path(packages), engine.version)
    for lock in target.glob("*.lock"):
        lock.chmod(PUBLIC_FILE)
    replace_file(target / MARKER, json.dumps(engine.identity()) + "\n")
    return True


def _is_whole(target: Path, identity: dict[str, str]) -> bool:
    try:
        marker = json.loads((target / MARKER).read_text())
    except (OSError, ValueError):
        return False
    # The environment's interpreter is a link to the node's: on a node with another Python it would hang in the air.
    return bool(marker == identity) and (target / "bin" / "python").exists()


def _make_room(engine: Engine, target: Path) -> None:
    """Remove half-built environments, and where room is short also those that are not in use."""
    shutil.rmtree(target, ignore_errors=True)
    current = (engine.root / "current").resolve()
    for other in engine.root.glob("vllm-*"):
        if other != current and not (other / MARKER).exists():
            shutil.rmtree(other)
    if _free_bytes(engine.root) >= engine.size_bytes:
        return
    for other in [*engine.root.glob("vllm-*"), engine.root / ".uv-cache"]:
        if other != current:
            shutil.rmtree(other, ignore_errors=True)
    free = _free_bytes(engine.root)
    if free < engine.size_bytes:
        raise EngineError(
            f"{engine.name} takes about {engine.size_bytes / 1e9:.1f} GB on the volume, {free / 1e9:.1f} GB are free "
            f"({engine.size_bytes} and {free} bytes): make the volume larger"
        )


def _uv(engine: Engine, progress: Progress) -> Path:
    """Return the installer: its own small environment on the volume, made by the node's Python."""
    digest = hashlib.sha256(engine.uv_lock.read_bytes()).hexdigest()[:8]
    directory = engine.root / f".uv-{digest}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not (directory / MARKER).exists():
        progress.show("installing uv")
        shutil.rmtree(directory, ignore_errors=True)
        _run([sys.executable, "-m", "venv", directory], {})
        pip: list[str | Path] = [
            directory / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        pip += ["--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        _run([*pip, "--requirement", engine.uv_lock, *_index(engine)], {})
        replace_file(directory / MARKER, "{}\n")
    return directory / "bin" / "uv"


def _add(additions: Path, packages: Path, version: str) -> None:
    """Add our modules as plugins, and the name under which vLLM looks itself up: the wheel has another one."""
    _distribution(packages, "vllm", f"{version}+cpu", "")
    for module in sorted(additions.glob("*.py")):
        shutil.copyfile(module, packages / module.name)
        _distribution(
            packages, module.stem, version, f"[vllm.general_plugins]\n{module.stem} = {module.stem}:register\n"
        )


def _distribution(packages: Path, name: str, version: str, entry_points: str) -> None:
    directory = packages / f"{name}-{version}.dist-info"
    directory.mkdir(exist_ok=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (directory / "entry_points.txt").write_text(entry_points)


def _index(engine: Engine) -> list[str]:
    return ["--no-index", "--find-links", engine.find_links] if engine.find_links else []


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _run(
    command: Sequence[str | Path], environment: dict[str, str], while_it_runs: Callable[[], None] = lambda: None
) -> str:
    """Run a command to its end; return what it printed."""
    with subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **environment}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        while True:
            try:
                output, errors = process.communicate(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                while_it_runs()
    if process.returncode != 0:
        said = errors.strip().splitlines() or ["nothing"]
        reason = next((line for line in said if line.lower().startswith("error")), said[-1])
        raise EngineError(f"{Path(command[0]).name} {command[1]} failed, it said: {reason}")
    return output


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the engines' directory; the kernel drops it with the process."""
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
