"""One bounded run of `vllm bench serve` in a unit of its own, and its figures."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

UNIT = "nodestack-bench.service"
POLL_S = 1.0
# From the end of the bound until the unit is ended from here: it ends by itself.
GRACE_S = 20.0

FIGURES = {
    "output_tokens_per_second": "output_throughput",
    "ttft_p50_ms": "p50_ttft_ms",
    "ttft_p99_ms": "p99_ttft_ms",
    "inter_token_p50_ms": "p50_itl_ms",
    "inter_token_p99_ms": "p99_itl_ms",
    "seconds": "duration",
    "output_tokens": "total_output_tokens",
}


class BenchError(Exception):
    """There are no figures; the message says why."""


def run(parameters: Mapping[str, Any], places: tuple[Path, Path], show: Callable[[], None]) -> dict[str, float]:
    """Return the figures of a run.

    Args:
        parameters: What the unit's program reads: url, model, tokenizer, lengths, requests, concurrency, timeout_s.
        places: Where it reads them, and where it leaves its result.
        show: Called each second.

    Raises:
        BenchError: It did not end in time, or not well, or requests failed.
    """
    asked, result = places
    if _state() in ("active", "activating"):
        raise BenchError(f"a benchmark is running ({UNIT}): wait for it, or stop it")
    result.unlink(missing_ok=True)
    asked.write_text(json.dumps(parameters) + "\n", encoding="utf-8")
    _systemctl("reset-failed", UNIT)
    started = time.monotonic()
    begun = _systemctl("start", "--no-block", UNIT)
    if begun.returncode:
        raise BenchError(f"{UNIT} was not started: {begun.stderr.strip()}")
    while _state() in ("active", "activating"):
        show()
        if time.monotonic() - started > parameters["timeout_s"] + GRACE_S:
            _systemctl("stop", UNIT)
            break
        time.sleep(POLL_S)
    return figures(result, parameters, time.monotonic() - started)


def figures(result: Path, parameters: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """Return the figures of a result that `vllm bench serve` has saved."""
    try:
        found = json.loads(result.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if seconds >= parameters["timeout_s"]:
            raise BenchError(
                f"it did not end within {parameters['timeout_s']:.0f} s: say fewer --requests, shorter "
                "--output-tokens, or a longer --timeout-s"
            ) from None
        raise BenchError(f"it ended without a result: read journalctl -u {UNIT}") from None
    if found.get("failed") or found.get("completed") != parameters["requests"]:
        raise BenchError(
            f"{found.get('completed')} of {parameters['requests']} requests were served: "
            f"read journalctl -u {UNIT} and -u nodestack-vllm"
        )
    return {name: round(float(found[key]), 3) for name, key in FIGURES.items()}


def _state() -> str:
    return _systemctl("show", UNIT, "--property=ActiveState", "--value").stdout.strip()


def _systemctl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
