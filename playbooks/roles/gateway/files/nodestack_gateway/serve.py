"""Have the gateway run with what is configured now: reload it where that is enough, and see that it does as it must.

Prints {"changed"}. Exit 1 and one line on stderr when it does not; a running one then goes on as it was.
"""

import argparse
import hashlib
import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nodestack_gateway import GatewayError, issuing, read_json, replace_file

HOST = "127.0.0.1"
PATIENCE_S = 15.0
POLL_S = 0.05
UNAUTHORIZED, FORBIDDEN = 401, 403


class Settings(NamedTuple):
    """What is served, and how it is known to be.

    Attributes:
        unit: Its unit.
        configuration: nginx's configuration file.
        restart_for: Files whose change takes a restart.
        reload_for: Files whose change takes a reload, which cuts no stream.
        port: Where it listens.
        certificate: What it must show there.
        ca: What that is verified with.
        key_file: A key that it must take.
        record: Where is kept what it runs with; the node's status is told from it.
    """

    unit: str
    configuration: Path
    restart_for: tuple[Path, ...]
    reload_for: tuple[Path, ...]
    port: int
    certificate: Path
    ca: Path
    key_file: Path
    record: Path


class State(NamedTuple):
    """The unit as systemd has it; `started_at` is in seconds of Unix time, 0 where it never was."""

    active: bool
    invocation: str
    started_at: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="gateway-serve", description="Have the gateway run as it is configured.")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--check", action="store_true", help="only say whether something would change")
    given = parser.parse_args(arguments)
    told = read_json(given.settings)
    settings = Settings(
        unit=told["unit"],
        configuration=Path(told["configuration"]),
        restart_for=tuple(Path(path) for path in told["restart_for"]),
        reload_for=tuple(Path(path) for path in told["reload_for"]),
        port=told["port"],
        certificate=Path(told["certificate"]),
        ca=Path(told["ca"]),
        key_file=Path(told["key_file"]),
        record=Path(told["record"]),
    )
    try:
        changed = serve(settings, check=given.check)
    except GatewayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(json.dumps({"changed": changed}))
    return 0


def serve(settings: Settings, *, check: bool) -> bool:
    """Return whether anything was done, or would be.

    Raises:
        GatewayError: The configuration is refused, or what runs does not do as it must.
    """
    restart, reload = (digests(paths) for paths in (settings.restart_for, settings.reload_for))
    before = read_json(settings.record) or {}
    unit = _state(settings.unit)
    # After a reboot it is another start, from files that nobody has touched since.
    untouched = all(path.stat().st_mtime + 1 < unit.started_at for path in settings.restart_for + settings.reload_for)
    same_start = unit.active and (untouched or before.get("invocation") == unit.invocation) and _held(before, restart)
    if same_start and _held(before, reload):
        return False
    if check:
        return True
    _require_valid(settings.configuration)
    # Forgotten first: a run that is cut off here is to begin anew.
    settings.record.unlink(missing_ok=True)
    verb = "reload" if same_start else "restart"
    done = subprocess.run(["systemctl", verb, settings.unit], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GatewayError(f"{settings.unit} was not {verb}ed: {_last(done.stderr)}; see journalctl -u {settings.unit}")
    _prove(settings)
    record = {"unit": settings.unit, "invocation": _state(settings.unit).invocation, "files": {**restart, **reload}}
    replace_file(settings.record, json.dumps(record) + "\n")
    return True


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its path."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _held(record: dict[str, Any], wanted: dict[str, str]) -> bool:
    files = record.get("files", {})
    return all(files.get(path) == digest for path, digest in wanted.items())


def _require_valid(configuration: Path) -> None:
    tried = subprocess.run(
        ["/usr/sbin/nginx", "-t", "-q", "-c", str(configuration)], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        raise GatewayError(f"nginx refuses its configuration, what runs goes on as it was: {_last(tried.stderr)}")


def _prove(settings: Settings) -> None:
    """Wait until it shows its certificate, refuses whoever has no key, and takes whoever has one."""
    key = settings.key_file.read_text().strip()
    shown = issuing.blocks(settings.certificate.read_text())[1]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        seen = _seen(settings, key, shown)
        if not seen:
            return
        if time.monotonic() > deadline:
            raise GatewayError(f"the gateway does not serve as it must: {seen}; see journalctl -u {settings.unit}")
        time.sleep(POLL_S)


def _seen(settings: Settings, key: str, shown: str) -> str:
    """Return what is not as it must be, or nothing."""
    try:
        trust = ssl.create_default_context(cafile=str(settings.ca))
        connection = http.client.HTTPSConnection(HOST, settings.port, timeout=5, context=trust)
        connection.connect()
        own = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True) or b"")
        if own.split() != shown.split():
            return "it shows another certificate"
        stranger, holder = _status(connection, {}), _status(connection, {"Authorization": f"Bearer {key}"})
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {settings.port}: {error}"
    if stranger != UNAUTHORIZED:
        return f"it answers {stranger} to a request without a key"
    # What the engine says is not asked here: it may be starting.
    return f"it answers {holder} to a key that it has" if holder in (UNAUTHORIZED, FORBIDDEN) else ""


def _status(connection: http.client.HTTPSConnection, headers: dict[str, str]) -> int:
    connection.request("GET", "/v1/models", headers=headers)
    reply = connection.getresponse()
    reply.read()
    return reply.status


def _state(unit: str) -> State:
    asked = ["systemctl", "show", unit, "--timestamp=unix", "--property=ActiveState,InvocationID,ActiveEnterTimestamp"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    started = values["ActiveEnterTimestamp"].removeprefix("@")
    return State(values["ActiveState"] == "active", values["InvocationID"], float(started) if started else 0.0)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it does not say why"


if __name__ == "__main__":
    sys.exit(main())
