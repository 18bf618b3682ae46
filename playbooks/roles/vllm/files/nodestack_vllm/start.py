"""Have the service run with what is configured now: restart it when anything it was started from has changed, and wait.

With --begin it is not waited for where nothing served before, to which a failure would return: run it again to wait.
Prints {"changed", "seconds"}. Exit 1 and one line on stderr when it does not come up.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nodestack_vllm import EngineError, drain, journal, unit
from nodestack_vllm.progress import Progress, read_json, replace_file

POLL_S = 0.5
STATE_DIRECTORY = Path("/var/lib/nodestack")
PROGRESS = Path("/run/nodestack/progress.json")


class Service(NamedTuple):
    """What is started, and how it shows that it runs.

    Attributes:
        unit: Its unit.
        gate: The unit that must succeed before, whose words explain a refusal.
        server: Its URL without a path; /health answers 200 once it serves.
        timeout_s: Seconds from start until then.
        made_from: Files, links and directories of files that it was started from.
        result: Version, build and options, for the result.
    """

    unit: str
    gate: str
    server: str
    timeout_s: float
    made_from: tuple[Path, ...]
    result: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**self._asdict(), "made_from": [str(path) for path in self.made_from]}

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Service":
        """Return what `as_dict` gave."""
        return cls(**{**content, "made_from": tuple(map(Path, content["made_from"]))})

    @property
    def ready(self) -> str:
        """The unit that lets requests in, after each start, once it answers."""
        return self.unit.replace(".service", "-ready.service")


class Begun(NamedTuple):
    """A start whose end is to be waited for, in seconds of the machine's own clock.

    Attributes:
        at_s: When it was started.
        stopping_s: When the former one was told to stop; None if none ran.
    """

    at_s: float
    stopping_s: float | None


class Started(NamedTuple):
    """How long a start took.

    Attributes:
        seconds: From start until it answered.
        gap_seconds: From when the former one was told to stop, and took no more requests, until then; None if none ran.
    """

    seconds: float
    gap_seconds: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="start", description="Start the engine's service and wait for it.")
    parser.add_argument("--unit", required=True)
    parser.add_argument("--gate", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--timeout-s", type=float, required=True)
    parser.add_argument("--begin", action="store_true", help="do not wait where nothing served before")
    parser.add_argument("--made-from", type=Path, action="append", default=[])
    parser.add_argument("--result", required=True, help="JSON: version, build and options, for the result")
    parser.add_argument("--state-directory", type=Path, default=STATE_DIRECTORY)
    parser.add_argument("--progress", type=Path, default=PROGRESS)
    given = parser.parse_args(arguments)
    service = Service(
        given.unit, given.gate, given.server, given.timeout_s, tuple(given.made_from), json.loads(given.result)
    )
    try:
        with Progress(given.progress) as progress:
            if given.begin and not kept_path(given.state_directory).exists():
                changed, seconds = begin(service, given.state_directory, progress), None
            else:
                started = start(service, given.state_directory, progress)
                changed, seconds = started is not None, started.seconds if started else None
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(json.dumps({"changed": changed, "seconds": seconds}))
    return 0


def begin(service: Service, state_directory: Path, progress: Progress) -> bool:
    """Start it without waiting, and return whether `start` has anything to wait for.

    Args:
        service: What is started.
        state_directory: Where the record of it and the result are.
        progress: Where it is shown.

    Raises:
        EngineError: It was not started.
    """
    try:
        return _begun(service, record_path(state_directory), progress) is not None
    except EngineError as error:
        _write_failure(service, state_directory, str(error))
        raise


def start(service: Service, state_directory: Path, progress: Progress, failure: str = "") -> Started | None:
    """Return how long it took, or None when it runs already with what is configured; write the result.

    Args:
        service: What is started.
        state_directory: Where the record of it and the result are.
        progress: Where it is shown.
        failure: Why a newer configuration does not serve instead, for the result; "" when none failed.

    Raises:
        EngineError: It ended, or did not answer in time.
    """
    try:
        started = _start(service, record_path(state_directory), progress)
    except EngineError as error:
        _write_failure(service, state_directory, failure or str(error))
        raise
    # The unit of its own that does this after each start may have given up before a slow one.
    drain.tell(drain.GATEWAY, "off")
    before = read_json(result_path(state_directory))
    seconds = {name: before.get(name) for name in ("start_seconds", "gap_seconds")}
    if started:
        seconds = {"start_seconds": started.seconds, "gap_seconds": started.gap_seconds}
    content = {"pass": True, **service.result, "unit": service.unit, "failure": failure, **seconds}
    if before != content:
        replace_file(result_path(state_directory), json.dumps(content) + "\n")
    return started


def _write_failure(service: Service, state_directory: Path, why: str) -> None:
    told = {"unit": service.unit, "failure": why, "start_seconds": None, "gap_seconds": None}
    replace_file(result_path(state_directory), json.dumps({"pass": False, **service.result, **told}) + "\n")


def record_path(state_directory: Path) -> Path:
    """Return where is kept what the running service was started from."""
    return state_directory / "engine-start.json"


def result_path(state_directory: Path) -> Path:
    """Return where is told whether it serves, and how long its start took."""
    return state_directory / "results" / "engine.json"


def kept_path(state_directory: Path) -> Path:
    """Return where is kept what served well, and is returned to when something newer does not."""
    return state_directory / "engine-former.json"


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


def _start(service: Service, record: Path, progress: Progress) -> Started | None:
    begun = _begun(service, record, progress)
    if begun is None:
        return None
    try:
        _wait(service, progress, begun.at_s)
    except EngineError:
        record.unlink(missing_ok=True)
        raise
    # It may have answered long before it was looked at.
    ready_s = unit.ended_s(service.ready)
    now = ready_s if ready_s > begun.at_s else time.monotonic()
    replace_file(record, json.dumps({**read_json(record), "answered": True}) + "\n")
    gap_s = None if begun.stopping_s is None else round(now - begun.stopping_s, 1)
    return Started(round(now - begun.at_s, 1), gap_s)


def _begun(service: Service, record: Path, progress: Progress) -> Begun | None:
    """Start it, or find that an earlier run began just that; None where it has answered since."""
    digest = fingerprint(service.made_from)
    known = read_json(record)
    state = unit.state(service.unit)
    stopping = time.monotonic()
    ran = state.active == "active"
    if ran and (known.get("fingerprint"), known.get("invocation")) == (digest, state.invocation):
        if known.get("answered", True) and unit.answers(f"{service.server}/health"):
            return None
        return Begun(known.get("begun_s", stopping), None)
    _stop(service, progress)
    starting = time.monotonic()
    progress.show("verifying the weights, then starting the engine")
    _begin(service)
    content = {
        "fingerprint": digest,
        "invocation": unit.state(service.unit).invocation,
        "service": service.as_dict(),
        "begun_s": starting,
        "answered": False,
    }
    replace_file(record, json.dumps(content) + "\n")
    return Begun(starting, stopping if ran else None)


def _stop(service: Service, progress: Progress) -> None:
    """Stop it as its unit says, which lets requests in flight finish; systemd sees to it that this ends."""
    unit.systemctl("stop", "--no-block", service.unit, check=False)
    while unit.state(service.unit).active not in ("inactive", "failed"):
        load = unit.load(service.server)
        progress.show(f"waiting for {load.requests} requests to finish" if load else "stopping the engine")
        time.sleep(POLL_S)


def _begin(service: Service) -> None:
    # Whatever failed before was another configuration: it does not count against this one.
    unit.systemctl("reset-failed", service.unit, service.gate, check=False)
    run = unit.systemctl("start", service.unit, check=False)
    if run.returncode == 0:
        return
    words = journal.last_words(service.gate) if unit.state(service.gate).active == "failed" else run.stderr.strip()
    raise EngineError(
        f"{service.unit} was not started: {words or 'systemd does not say why'}; see journalctl -u {service.gate}"
    )


def _wait(service: Service, progress: Progress, started: float) -> None:
    first = unit.state(service.unit)
    health = f"{service.server}/health"
    while True:
        state = unit.state(service.unit)
        if (
            state.active not in ("active", "activating")
            or state.sub == "auto-restart"
            or state.restarts > first.restarts
        ):
            words = journal.last_error(service.unit, first.invocation)
            # One start is enough to judge a new configuration by; systemd would go on trying.
            unit.systemctl("stop", service.unit, check=False)
            raise EngineError(f"the engine ended while starting: {words}; see journalctl -u {service.unit}")
        if unit.answers(health):
            return
        waited_s = time.monotonic() - started
        if waited_s > service.timeout_s:
            words = journal.last_words(service.unit, state.invocation) or "nothing"
            raise EngineError(
                f"the engine did not answer {health} within {service.timeout_s:.0f} s, last it said: {words}; "
                f"see journalctl -u {service.unit}"
            )
        stage = journal.stage(service.unit, state.invocation)
        progress.show(f"starting the engine: {stage}, {waited_s:.0f} s")
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
