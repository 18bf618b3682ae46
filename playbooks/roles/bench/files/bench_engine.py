#!/usr/bin/env python3
"""Run `vllm bench serve` with the API key from the unit's credential: it is in no argument.

Runs with the engine's Python as a user who owns nothing: `bench-engine PARAMETERS`. It ends by itself in any case.
"""

import json
import os
import signal
import sys
from pathlib import Path

CREDENTIAL, AUTHORITY = "api_key", "gateway_ca"


def main(parameters: Path) -> None:
    """Hand over to vLLM's own command line."""
    asked = json.loads(parameters.read_text(encoding="utf-8"))
    # The load stops at its bound even where nobody is left who would stop it.
    signal.alarm(int(asked["timeout_s"]))
    credentials = Path(os.environ["CREDENTIALS_DIRECTORY"])
    # Its way to take a key. Set from within, it is in no environment that /proc shows.
    os.environ["OPENAI_API_KEY"] = (credentials / CREDENTIAL).read_text(encoding="ascii").strip()
    authority = credentials / AUTHORITY
    if authority.exists():
        # Read when its HTTP client is imported.
        os.environ["SSL_CERT_FILE"] = str(authority)

    from vllm.entrypoints.cli.main import main as vllm  # noqa: PLC0415

    sys.argv = ["vllm", "bench", "serve", *arguments(asked, os.environ["STATE_DIRECTORY"])]
    vllm()


def arguments(asked: dict[str, object], results: str) -> list[str]:
    """Return the options of `vllm bench serve`: prompts of random tokens, replies of exactly the length asked for."""
    options = {
        "backend": "openai",
        "base-url": asked["url"],
        "endpoint": "/v1/completions",
        "model": asked["model"],
        "tokenizer": asked["tokenizer"],
        "dataset-name": "random",
        "random-input-len": asked["prompt_tokens"],
        "random-output-len": asked["output_tokens"],
        "random-range-ratio": 0.0,
        "num-prompts": asked["requests"],
        "max-concurrency": asked["concurrency"],
        "seed": asked["seed"],
        "temperature": 0,
        "percentile-metrics": "ttft,itl",
        "metric-percentiles": "50,99",
        # No request ahead of the run: it would take as long as any other, and the service has just answered.
        "ready-check-timeout-sec": 0,
        "result-dir": results,
        "result-filename": "result.json",
    }
    return [*(f"--{name}={value}" for name, value in options.items()), "--save-result", "--disable-tqdm"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
