"""Measure, compare, and write the record to the volume and to the node's results; print {"changed"}.

Exit 1 and one line on stderr when there are no figures. A regression is no failure of this command: the record has it.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodestack_bench import compare, lengths, measure
from nodestack_bench.exposition import counter
from nodestack_bench.lengths import Own
from nodestack_bench.measure import BenchError

TIMEOUT_S = 30.0
TOKENS_MADE = "vllm:generation_tokens_total"
HOUR_S, MILLION = 3600, 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure what the served model gives.")
    parser.add_argument(
        "--asked", type=Path, required=True, help="JSON file that says what to measure, as the role has it"
    )
    parser.add_argument("--parameters", type=Path, default=Path("/etc/nodestack/bench-run.json"))
    parser.add_argument("--result", type=Path, default=Path("/var/lib/nodestack-bench/result.json"))
    parser.add_argument("--state-directory", type=Path, default=Path("/var/lib/nodestack"))
    parser.add_argument("--progress", type=Path, default=Path("/run/nodestack/progress.json"))
    given = parser.parse_args(arguments)
    asked = json.loads(given.asked.read_text(encoding="utf-8"))
    try:
        _bench(given, asked)
    except BenchError as error:
        sys.stderr.write(f"nothing was measured: {error}\n")
        return 1
    finally:
        given.progress.unlink(missing_ok=True)
    print(json.dumps({"changed": True}))
    return 0


def _bench(given: argparse.Namespace, asked: dict[str, Any]) -> None:
    """Measure, compare with what was measured before, and keep the record."""
    invocation = _invocation(asked["unit"])
    own_path = given.state_directory / "bench-own.json"
    own, metrics, shape = _own(own_path, invocation), _metrics(asked["engine_url"]), asked["shape"]
    # Before it begins: requests of a run that is cut off were made as well.
    _replace(own_path, {"invocation": invocation, "own": [*own, [*_lengths(shape), shape["requests"]]]})
    figures = _figures(given, asked, counter(metrics, TOKENS_MADE))
    at = time.gmtime(_now())
    record = {
        **_circumstances(given, asked),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
        "figures": figures,
        "usd_per_million_output_tokens": _usd_per_million(asked["usd_per_hour"], figures),
        "lengths": lengths.describe(
            metrics,
            [Own(*each) for each in own],
            least_requests=asked["least_requests"],
            multiple=asked["length_multiple"],
            max_model_len=asked["max_model_len"],
        ),
    }
    records = Path(asked["records"])
    before = compare.baseline(records, record)
    worse = compare.regressions(figures, before["figures"], asked["tolerances"]) if before else []
    record |= {
        "compared_with": before["at"] if before else "",
        "regressions": worse,
        "is_baseline": not worse or asked["accept"],
        "file": str(records / f"{time.strftime('%Y%m%dT%H%M%SZ', at)}.json"),
    }
    _replace(Path(record["file"]), record)
    _replace(given.state_directory / "results" / "bench.json", record)


def _figures(given: argparse.Namespace, asked: dict[str, Any], made_before: float) -> dict[str, float]:
    """Have the load made, and return what it came to; meanwhile tell how far it is."""
    shape = asked["shape"]
    total = shape["requests"] * shape["output_tokens"]

    def show() -> None:
        try:
            now = counter(_metrics(asked["engine_url"]), TOKENS_MADE) - made_before
        except BenchError:
            return
        _replace(given.progress, {"role": "bench", "text": f"measuring, {now:.0f} of {total} tokens"})

    parameters = {
        **shape,
        "url": asked["url"],
        "model": asked["model"],
        "tokenizer": asked["tokenizer"],
        "timeout_s": asked["timeout_s"],
        # Another seed each time: prompts of a former run would be found in the prefix cache.
        "seed": _now(),
    }
    return measure.run(parameters, (given.parameters, given.result), show)


def _circumstances(given: argparse.Namespace, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured, on what, and at which price."""
    engine = _read(given.state_directory / "results" / "engine.json")
    told = ("model", "commit", "hardware", "through", "shape", "usd_per_hour", "usd_basis")
    return {
        "kind": "measured",
        "engine_version": engine.get("version", ""),
        "engine_build": engine.get("build", ""),
        "options_sha256": _digest(engine.get("options")),
        **{name: asked[name] for name in told},
    }


def _usd_per_million(usd_per_hour: float | None, figures: dict[str, float]) -> float | None:
    if usd_per_hour is None:
        return None
    return round(usd_per_hour / (figures["output_tokens_per_second"] * HOUR_S) * MILLION, 4)


def _now() -> int:
    return int(time.time())


def _lengths(shape: dict[str, int]) -> tuple[int, int]:
    return shape["prompt_tokens"], shape["output_tokens"]


def _own(path: Path, invocation: str) -> list[list[int]]:
    """Return the requests of ours that this start of the engine has counted."""
    found = _read(path)
    return list(found.get("own", [])) if found.get("invocation") == invocation else []


def _metrics(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=TIMEOUT_S) as reply:  # noqa: S310 — the URL is the role's own
            return str(reply.read().decode("utf-8", "replace"))
    except OSError as error:
        raise BenchError(f"the engine does not answer at {url} ({error}): run verify, or up again") from None


def _invocation(unit: str) -> str:
    command = ["systemctl", "show", unit, "--property", "InvocationID", "--value"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _digest(options: object) -> str:
    return hashlib.sha256(json.dumps(options, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _replace(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(content) + "\n", encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
