"""Where the Pulumi engine comes from: PATH if it is new enough, else the official installer, else Go modules."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap import golang
from bootstrap.checkout import Checkout, SetupError, cached, digest, replace
from bootstrap.processes import Processes
from bootstrap.progress import Progress
from bootstrap.releases import at_least, parse

HOST = "pulumi-language-python"
RECORD = "engine.json"
TOGETHER = ".nodestack/engine/bin"
FORCE = "NODESTACK_ENGINE"
WAYS = ("path", "installer", "built")
FETCH = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())"


class Unavailable(Exception):
    """This way to an engine is closed; the message says why, for the next way to be tried."""


@dataclass(frozen=True)
class Engine:
    """An engine that is there.

    Attributes:
        way: How it came: "path", "installer" or "built".
        pulumi: The program.
        directory: What belongs on PATH for it.
        reason: Why this way, for a person.
        key: What it was decided from; another key means deciding again.
    """

    way: str
    pulumi: str
    directory: str
    reason: str
    key: str


def key(checkout: Checkout) -> str:
    """Return what the decision depends on, as one digest."""
    wanted = json.dumps(checkout.versions["pulumi"], sort_keys=True)
    return digest(wanted, golang.key(checkout), os.environ.get(FORCE, ""), str(checkout.root))


def recorded(checkout: Checkout) -> Engine | None:
    """Return the engine this checkout uses, or None if there is none, it has gone or something was decided anew."""
    try:
        engine = Engine(**json.loads((checkout.state / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    hosted = Path(engine.directory, HOST).exists() or engine.way == "path"
    return engine if engine.key == key(checkout) and Path(engine.pulumi).exists() and hosted else None


def provide(checkout: Checkout, processes: Processes, progress: Progress, uv_program: Callable[[], Path]) -> Engine:
    """Find, install or build an engine and record it.

    Args:
        checkout: For which checkout.
        processes: Runs what has to be run.
        progress: Is told which way is taken and why.
        uv_program: Returns a uv; called only if a Go toolchain may have to be fetched.

    Raises:
        SetupError: No way led to one; names the reason of each.
    """
    ways: dict[str, Callable[[], tuple[Path, str]]] = {
        "path": lambda: _on_path(checkout),
        "installer": lambda: _installed(checkout, processes, progress),
        "built": lambda: _built(checkout, processes, progress, uv_program),
    }
    forced = os.environ.get(FORCE, "")
    if forced and forced not in ways:
        raise SetupError(f"{FORCE} is {forced!r}: leave it out or use one of {', '.join(WAYS)}")
    reasons: list[str] = []
    for way in [forced] if forced else WAYS:
        try:
            pulumi, text = ways[way]()
        except Unavailable as closed:
            reasons.append(str(closed))
            continue
        engine = Engine(way, str(pulumi), str(pulumi.parent), "; ".join([*reasons, text]), key(checkout))
        _record(checkout, engine)
        return engine
    raise SetupError(f"no Pulumi engine: {'; '.join(reasons)}")


def _record(checkout: Checkout, engine: Engine) -> None:
    checkout.state.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(engine), indent=2) + "\n"
    replace(checkout.state / RECORD, lambda new: new.write_text(text))


def _version(pulumi: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        return subprocess.run(
            [pulumi, "version"], capture_output=True, text=True, check=False, timeout=30, env=environment
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _require_usable(checkout: Checkout, pulumi: Path, hosts: list[Path | None]) -> str:
    """Return the version of a complete engine."""
    said = _version(pulumi)
    minimum = checkout.versions["pulumi"]["minimum"]
    if not at_least(parse(said), minimum):
        raise Unavailable(f"{pulumi} is {said or 'of no known version'}, older than {minimum}")
    if not any(host is not None and host.exists() for host in hosts):
        raise Unavailable(f"{pulumi} is there without its Python language host")
    return said


def _on_path(checkout: Checkout) -> tuple[Path, str]:
    # What was put together for a checkout, this one or another, must not pass for an installation.
    directories = [d for d in os.environ.get("PATH", "").split(os.pathsep) if not d.endswith(TOGETHER)]
    found = shutil.which("pulumi", path=os.pathsep.join(directories))
    if not found:
        raise Unavailable("no pulumi on PATH")
    pulumi = Path(found).absolute()
    host = shutil.which(HOST, path=os.pathsep.join(directories))
    said = _require_usable(checkout, pulumi, [pulumi.resolve().with_name(HOST), Path(host) if host else None])
    return pulumi, f"pulumi {said} on PATH"


def _installed(checkout: Checkout, processes: Processes, progress: Progress) -> tuple[Path, str]:
    wanted = checkout.versions["pulumi"]
    address, timeout_s = wanted["installer"], wanted["installer_timeout_s"]

    def _install(directory: Path) -> None:
        fetch = [sys.executable, "-c", FETCH, address]
        try:
            # In a process of its own: looking up a name can hang for longer than any timeout set here.
            script = subprocess.run(fetch, capture_output=True, check=True, timeout=timeout_s).stdout
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise Unavailable(f"{address} is out of reach") from None
        progress.say("engine", f"installing {wanted['version']} from {address}")
        (directory / "install.sh").write_bytes(script)
        arguments = ["--version", wanted["version"], "--install-root", directory, "--no-edit-path"]
        try:
            processes.run("engine", ["sh", directory / "install.sh", *arguments])
        except SetupError as error:
            raise Unavailable(f"the official installer failed ({error})") from None
        _require_usable(checkout, directory / "bin" / "pulumi", [directory / "bin" / HOST])

    entry = cached("engine", digest("installer", json.dumps(wanted, sort_keys=True)), _install)
    return entry / "bin" / "pulumi", f"pulumi {wanted['version']} by the official installer"


def _built(
    checkout: Checkout, processes: Processes, progress: Progress, uv_program: Callable[[], Path]
) -> tuple[Path, str]:
    texts = ["built before, from the cache"]

    def _build(directory: Path) -> None:
        toolchain = golang.find(checkout, processes, uv_program())
        texts[0] = f"built from Go modules with {toolchain.text}"
        minutes = checkout.versions["go"]["build_time_min"]
        progress.say("engine", f"building from Go modules with {toolchain.text}: about {minutes} minutes on 2 cores")
        golang.build(checkout, toolchain, directory, processes, progress)

    entry = cached("engine", golang.key(checkout), _build)
    return _assemble(checkout, entry), texts[0]


def _assemble(checkout: Checkout, entry: Path) -> Path:
    """Put the engine and our language host side by side, as the engine expects them; return the engine's path."""
    together = checkout.root / TOGETHER
    together.mkdir(parents=True, exist_ok=True)
    # The engine looks beside the file it was started from, links resolved, hence no symbolic link to it.
    replace(together / "pulumi", lambda new: _link_or_copy(entry / "pulumi", new))
    replace(together / golang.PROGRAM_RUNNER, lambda new: new.symlink_to(entry / golang.PROGRAM_RUNNER))
    replace(together / HOST, lambda new: new.symlink_to(checkout.tools / "engine" / HOST))
    return together / "pulumi"


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
