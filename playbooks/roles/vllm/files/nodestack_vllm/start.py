"""Have the service run with what is configured now: restart it when anything it was started from has changed, and wait.

Prints {"changed", "seconds"}. Exit 1 and one line on stderr when it does not come up.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nodestack_vllm import EngineError, journal
from nodestack_vllm.progress import Progress, replace_file

POLL_S = 0.5
HEALTH_TIMEOUT_S = 5.0


class Service(NamedTuple):
    """What is started, and how it shows that it runs.

    Attributes:
        unit: Its unit.
        gate: The unit that must succeed before, whose words explain a refusal.
        health: URL that answers 200 once it serves.
        timeout_s: Seconds from start until then.
        made_from: Files, links and directories of files that it was started from.
        record: Where is kept what the running service was started from.
    """

    unit: str
    gate: str
    health: str
    timeout_s: float
    made_from: tuple[Path, ...]
    record: Path


class State(NamedTuple):
    """The unit as systemd has it."""

    active: str
    sub: str
    invocation: str
    restarts: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="start", description="Start the engine's service and wait for it.")
    parser.add_argument("--unit", required=True)
    parser.add_argument("--gate", required=True)
    parser.add_argument("--health", required=True)
    parser.add_argument("--timeout-s", type=float, required=True)
    parser.add_argument("--made-from", type=Path, action="append", default=[])
    parser.add_argument("--result", required=True, help="JSON: version, build and options, for the result")
    parser.add_argument("--state-directory", type=Path, default=Path("/var/lib/nodestack"))
    parser.add_argument("--progress", type=Path, default=Path("/run/nodestack/progress.json"))
    given = parser.parse_args(arguments)
    record = given.state_directory / "engine-start.json"
    service = Service(given.unit, given.gate, given.health, given.timeout_s, tuple(given.made_from), record)
    result_path = given.state_directory / "results" / "engine.json"
    result = {**json.loads(given.result), "unit": service.unit}
    try:
        with Progress(given.progress) as progress:
            seconds = start(service, progress)
    except EngineError as error:
        replace_file(result_path, json.dumps({"pass": False, **result, "start_seconds": None}) + "\n")
        sys.stderr.write(f"{error}\n")
        return 1
    if seconds is None:
        before = _read(result_path)
        seconds_then = before.get("start_seconds")
        content = {"pass": True, **result, "start_seconds": seconds_then}
        if before != content:
            replace_file(result_path, json.dumps(content) + "\n")
    else:
        replace_file(result_path, json.dumps({"pass": True, **result, "start_seconds": seconds}) + "\n")
    print(json.dumps({"changed": seconds is not None, "seconds": seconds}))
    return 0


def start(service: Service, progress: Progress) -> float | None:
    """Return the seconds until it was healthy, or None when it runs already with what is configured.

    Raises:
        EngineError: It ended, or did not answer in time.
    """
    digest = fingerprint(service.made_from)
    state = _state(service.unit)
    started = time.monotonic()
    if state.active == "active" and _read(service.record) == {"fingerprint": digest, "invocation": state.invocation}:
        if _healthy(service):
            return None
        # An earlier run started it just so and was cut off: its start goes on.
    else:
        progress.show("verifying the weights, then starting the engine")
        _restart(service)
        record = {"fingerprint": digest, "invocation": _state(service.unit).invocation}
        replace_file(service.record, json.dumps(record) + "\n")
    try:
        _wait(service, progress, started)
    except EngineError:
        service.record.unlink(missing_ok=True)
        raise
    return round(time.monotonic() - started, 1)


def fingerprint(paths: Sequence[Path]) -> str:
    """Return a digest of what the service is started from.

    Small files count by content, links by their target, and files below a directory by name, size and time: weights are
    too large to read here, and were verified by then.
    """
    digest = hashlib.sha256()
    for line in _describe(paths):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _describe(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_symlink():
            yield f"{path} -> {path.readlink()}"
        if path.is_dir():
            for file in sorted(found for found in path.iterdir() if found.is_file()):
                status = file.stat()
                yield f"{file} {status.st_size} {status.st_mtime_ns}"
        elif path.is_file():
            yield f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            yield f"{path} is missing"


def _restart(service: Service) -> None:
    # Whatever failed before was another configuration: it does not count against this one.
    _systemctl("reset-failed", service.unit, service.gate, check=False)
    run = _systemctl("restart", service.unit, check=False)
    if run.returncode == 0:
        return
    words = journal.last_words(service.gate) if _state(service.gate).active == "failed" else run.stderr.strip()
    raise EngineError(
        f"{service.unit} was not started: {words or 'systemd does not say why'}; see journalctl -u {service.gate}"
    )


def _wait(service: Service, progress: Progress, started: float) -> None:
    first = _state(service.unit)
    while True:
        state = _state(service.unit)
        if (
            state.active not in ("active", "activating")
            or state.sub == "auto-restart"
            or state.restarts > first.restarts
        ):
            words = journal.last_error(service.unit, first.invocation)
            # One start is enough to judge a new configuration by; systemd would go on trying.
            _systemctl("stop", service.unit, check=False)
            raise EngineError(f"the engine ended while starting: {words}; see journalctl -u {service.unit}")
        if _healthy(service):
            return
        waited_s = time.monotonic() - started
        if waited_s > service.timeout_s:
            words = journal.last_words(service.unit, state.invocation) or "nothing"
            raise EngineError(
                f"the engine did not answer {service.health} within {service.timeout_s:.0f} s, last it said: {words}; "
                f"see journalctl -u {service.unit}"
            )
        stage = journal.stage(service.unit, state.invocation)
        progress.show(f"starting the engine: {stage}, {waited_s:.0f} s")
        time.sleep(POLL_S)


def _healthy(service: Service) -> bool:
    try:
        with urllib.request.urlopen(service.health, timeout=HEALTH_TIMEOUT_S) as reply:  # noqa: S310
            return bool(reply.status == 200)  # noqa: PLR2004
    except (OSError, urllib.error.URLError):
        return False


def _state(unit: str) -> State:
    properties = ("ActiveState", "SubState", "InvocationID", "NRestarts")
    shown = _systemctl("show", unit, "--property", ",".join(properties)).stdout
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    restarts = values.get("NRestarts", "0")
    return State(values["ActiveState"], values["SubState"], values["InvocationID"], int(restarts or 0))


def _systemctl(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL
    )


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
