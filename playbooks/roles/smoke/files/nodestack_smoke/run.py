"""Ask once for each start of the service, write the result, and print {"changed"}; or, for a timer, ask the light part.

Exit 1 and one line on stderr when a reply is not right.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodestack_smoke import service, suite
from nodestack_smoke.question import Asked
from nodestack_smoke.result import Check, first_failure, read_file, replace_file, write_metrics
from nodestack_smoke.server import NoAnswer, Refused, Server, short

CREDENTIAL, GATEWAY_CREDENTIAL = "api_key", "gateway_key"
PROBE_ATTEMPTS, PROBE_PAUSE_S = 2, 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    given = _parser().parse_args(arguments)
    running = service.look(given.unit)
    # From the unit's credential, else from the file that only root reads: it is in no argument.
    key = given.key_file.read_text(encoding="ascii").strip()
    server = Server(given.url, given.model, key, given.timeout_s)
    asked = Asked(
        server=server,
        model=given.model,
        kind=given.kind,
        commit=given.commit,
        engine_version=given.engine_version,
        metrics=tuple(json.loads(given.metrics.read_text(encoding="utf-8"))["metrics"]),
        service=running,
        gateway=_gateway(given, key),
    )
    return _probe(given, asked) if given.light else _gate(given, asked)


def _gate(given: argparse.Namespace, asked: Asked) -> int:
    """Ask everything, once for each start of the service; what a timer found before is settled by it."""
    result = given.state_directory / "results" / "smoke.json"
    record = given.state_directory / "smoke-start.json"
    this = _asked_record(given, asked)
    if not given.again and read_file(record) == this and read_file(result).get("pass") is True:
        print(json.dumps({"changed": False}))
        return 0
    record.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        checks = suite.run(asked, light=False, show=lambda line: _show(given.progress, line))
    finally:
        given.progress.unlink(missing_ok=True)
    _write(result, given, asked, checks, time.monotonic() - started)
    if failure := first_failure(checks):
        sys.stderr.write(f"the model is not fit for use: {failure}; see journalctl -u {given.unit}\n")
        return 1
    replace_file(record, json.dumps(this) + "\n")
    (given.state_directory / "results" / "probe.json").unlink(missing_ok=True)
    print(json.dumps({"changed": True}))
    return 0


def _probe(given: argparse.Namespace, asked: Asked) -> int:
    """Ask the light part; a service that is still on its way up gets no verdict."""
    if asked.service.active == "active" and asked.service.active_s < given.start_timeout_s and not _answers(asked):
        print(json.dumps({"changed": False, "skipped": "the service is starting"}))
        return 0
    started = time.monotonic()
    checks: list[Check] = []
    for attempt in range(PROBE_ATTEMPTS):
        if attempt:
            time.sleep(PROBE_PAUSE_S)
        checks = suite.run(asked, light=True, show=lambda line: None)
        if not first_failure(checks):
            break
    _write(given.state_directory / "results" / "probe.json", given, asked, checks, time.monotonic() - started)
    if failure := first_failure(checks):
        # The next up shall ask in full, even of this very start of the service.
        (given.state_directory / "smoke-start.json").unlink(missing_ok=True)
        sys.stderr.write(f"{failure}; see journalctl -u {given.unit}\n")
        return 1
    print(json.dumps({"changed": False}))
    return 0


def _gateway(given: argparse.Namespace, key: str) -> Server | None:
    """Return the gateway, asked with the key that the node has for it, or with the engine's where it has none."""
    if not given.gateway_url:
        return None
    if given.gateway_key_file is not None:
        key = given.gateway_key_file.read_text(encoding="ascii").strip()
    return Server(given.gateway_url, given.model, key, given.timeout_s, given.gateway_ca)


def _parser() -> argparse.ArgumentParser:
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/etc/nodestack/credentials"))
    parser = argparse.ArgumentParser(prog="smoke", description="Ask the server what its users will ask.")
    parser.add_argument("--url", required=True, help="of the engine, without the path")
    parser.add_argument("--model", required=True, help="name that clients ask for")
    parser.add_argument("--kind", choices=["chat_reasoning_tools", "chat", "completion"], required=True)
    parser.add_argument("--commit", required=True, help="40 hex digits of the weights that must be served")
    parser.add_argument("--engine-version", required=True)
    parser.add_argument("--timeout-s", type=float, required=True, help="seconds one reply may take")
    parser.add_argument("--start-timeout-s", type=float, default=0, help="seconds a start of the service may take")
    parser.add_argument("--gateway-url", default="", help="of the gateway, without the path; left out, none is asked")
    parser.add_argument("--gateway-ca", type=Path, help="file of the authority of the gateway's certificate")
    gateway_key = credentials / GATEWAY_CREDENTIAL
    parser.add_argument(
        "--gateway-key-file",
        type=Path,
        default=gateway_key if gateway_key.exists() else None,
        help="key for the gateway (default: the unit's credential, or the engine's key)",
    )
    parser.add_argument("--key-file", type=Path, default=credentials / CREDENTIAL)
    parser.add_argument("--metrics", type=Path, default=Path("/usr/local/lib/nodestack/engine-metrics.json"))
    parser.add_argument("--unit", default="nodestack-vllm.service")
    parser.add_argument("--state-directory", type=Path, default=Path("/var/lib/nodestack"))
    parser.add_argument("--progress", type=Path, default=Path("/run/nodestack/progress.json"))
    parser.add_argument("--again", action="store_true", help="ask even where this start of the service has passed")
    parser.add_argument("--light", action="store_true", help="ask only what costs a handful of tokens, as a timer does")
    return parser


def _asked_record(given: argparse.Namespace, asked: Asked) -> dict[str, str]:
    return {
        "invocation": asked.service.invocation,
        "kind": given.kind,
        "model": given.model,
        "commit": given.commit,
        "engine_version": given.engine_version,
        "gateway": given.gateway_url,
    }


def _write(path: Path, given: argparse.Namespace, asked: Asked, checks: Sequence[Check], seconds: float) -> None:
    now = time.time()
    content: dict[str, Any] = {
        "pass": not first_failure(checks),
        "kind": given.kind,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "checks": [check.as_dict() for check in checks],
        "completion": short(asked.text),
        "seconds": round(seconds, 1),
    }
    replace_file(path, json.dumps(content, ensure_ascii=False) + "\n")
    write_metrics(given.state_directory / "metrics" / "smoke.prom", checks, at=now, seconds=seconds)


def _answers(asked: Asked) -> bool:
    try:
        asked.server.text("/health")
    except NoAnswer:
        return False
    except Refused:
        return True
    return True


def _show(path: Path, text: str) -> None:
    replace_file(path, json.dumps({"role": "smoke", "text": f"asking the model: {text}"}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
