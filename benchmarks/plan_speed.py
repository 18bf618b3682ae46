"""How long an answer takes: the whole of `nodestack plan`, reading our catalogue for it, and planning alone.

`python benchmarks/plan_speed.py [--record FILE]`. Prints the medians and fails when one is above its limit.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nodestack.catalog import load, loader
from nodestack.planning.plan import make_plan
from nodestack.settings import EngineSettings, ModelSettings, NodeChoice, Request

COMMAND_RUNS, COMMAND_LIMIT_S = 10, 1.0
PLANNING_RUNS, PLANNING_LIMIT_S = 200, 0.005
CATALOGUE_RUNS, CATALOGUE_LIMIT_S = 20, 0.060
MODEL, FORMAT, SHAPE = "trinity-large-thinking", "fp8-block", "4x-h200-sxm5"


def main() -> int:
    """Measure, print the medians with their limits; 1 above one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="file that gets the medians as JSON")
    options = parser.parse_args()
    command_s = _median_s(_command, COMMAND_RUNS)
    catalogue_s = _median_s(loader._ours.__wrapped__, CATALOGUE_RUNS)
    planning_s = _median_s(_planning(), PLANNING_RUNS)
    print(f"nodestack plan: {command_s:.2f} s (limit {COMMAND_LIMIT_S} s), median of {COMMAND_RUNS}")
    limit_ms = CATALOGUE_LIMIT_S * 1000
    print(f"reading our catalogue: {catalogue_s * 1000:.1f} ms (limit {limit_ms:.0f} ms), median of {CATALOGUE_RUNS}")
    limit_ms = PLANNING_LIMIT_S * 1000
    print(f"planning alone: {planning_s * 1000:.2f} ms (limit {limit_ms:.0f} ms), median of {PLANNING_RUNS}")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "nodestack plan, s": round(command_s, 3),
            "catalogue, ms": round(catalogue_s * 1000, 1),
            "planning, ms": round(planning_s * 1000, 2),
        }
        options.record.write_text(json.dumps(figures), encoding="utf-8")
    within = command_s <= COMMAND_LIMIT_S and catalogue_s <= CATALOGUE_LIMIT_S and planning_s <= PLANNING_LIMIT_S
    return int(not within)


def _command() -> None:
    command = [sys.executable, "-m", "nodestack.cli", "plan", "--model", MODEL, "--format", FORMAT, "--node", SHAPE]
    subprocess.run(command, check=True, capture_output=True)


def _planning() -> Callable[[], object]:
    catalog = load()
    request = Request(
        node=NodeChoice(shape=SHAPE),
        model=ModelSettings(name=MODEL, format=FORMAT),
        engine=EngineSettings(version=catalog.rules.engine.default_version),
    )
    return lambda: make_plan(request, catalog)


def _median_s(measured: Callable[[], object], runs: int) -> float:
    # The first run reads files that later ones find in memory.
    measured()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        measured()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
