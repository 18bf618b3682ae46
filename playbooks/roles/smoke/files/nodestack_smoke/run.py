"""Ask once for each start of the service, write the result, and print {"changed"}.

Exit 1 and one line on stderr when a reply is not right.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodestack_smoke.checks import run_kind
from nodestack_smoke.server import Server, short


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="smoke", description="Ask the server what its users will ask.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--kind", choices=["chat_reasoning_tools", "chat", "completion"], required=True)
    parser.add_argument("--timeout-s", type=float, required=True)
    parser.add_argument("--key-file", type=Path, default=Path("/etc/nodestack/credentials/api_key"))
    parser.add_argument("--unit", default="nodestack-vllm.service")
    parser.add_argument("--state-directory", type=Path, default=Path("/var/lib/nodestack"))
    parser.add_argument("--progress", type=Path, default=Path("/run/nodestack/progress.json"))
    parser.add_argument("--again", action="store_true", help="ask even where this start of the service has passed")
    given = parser.parse_args(arguments)
    result = given.state_directory / "results" / "smoke.json"
    record = given.state_directory / "smoke-start.json"
    asked = {"invocation": invocation(given.unit), "kind": given.kind, "model": given.model}
    if not given.again and _read(record) == asked and _read(result).get("pass") is True:
        print(json.dumps({"changed": False}))
        return 0
    record.unlink(missing_ok=True)
    server = Server(given.url, given.model, given.key_file.read_text(encoding="ascii").strip(), given.timeout_s)
    started = time.monotonic()
    try:
        checks, text = run_kind(server, given.kind, given.model, lambda line: _show(given.progress, line))
    finally:
        given.progress.unlink(missing_ok=True)
    passed = all(check.passed for check in checks)
    content = {
        "pass": passed,
        "kind": given.kind,
        "checks": [check.as_dict() for check in checks],
        "completion": short(text),
        "seconds": round(time.monotonic() - started, 1),
    }
    _replace_file(result, json.dumps(content, ensure_ascii=False) + "\n")
    if not passed:
        last = checks[-1]
        sys.stderr.write(
            f"the model is not fit for use: {last.check}: expected {last.expected}, seen {last.seen}; "
            f"see journalctl -u {given.unit}\n"
        )
        return 1
    _replace_file(record, json.dumps(asked) + "\n")
    print(json.dumps({"changed": True}))
    return 0


def invocation(unit: str) -> str:
    """Return the id of the unit's present start, "" where systemd has none."""
    command = ["systemctl", "show", unit, "--property", "InvocationID", "--value"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _show(path: Path, text: str) -> None:
    _replace_file(path, json.dumps({"role": "smoke", "text": text}) + "\n")


def _replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
