"""What a `make up` that has nothing to do costs, against the engine's own floor: `pulumi up` on an empty program.

Run beside a stack that is up: `python benchmarks/noop_up.py [--runs N]`. Both sides run in turn on the same machine.
The floor is `pulumi up --yes` as it comes, preview included; with --skip-preview it is shown beside it, not judged.
Ends with the ratio of the medians and fails above the limit.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.empty_project import empty_project, seconds_of

from nodestack.automation.checkout import find
from nodestack.automation.engine import pulumi_binary

LIMIT = 2.5


def main() -> int:
    """Measure, print both medians and their ratio; 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--record", type=Path, help="file that gets the ratio as JSON")
    options = parser.parse_args()
    runs = options.runs
    root = find(Path.cwd()).root
    with tempfile.TemporaryDirectory() as scratch:
        empty, environ = empty_project(Path(scratch), root)
        engine = [str(pulumi_binary(root)), "up", "--yes", "--stack", "floor"]
        seconds_of(engine, empty, environ)
        seconds_of(["make", "up"], root, dict(os.environ))
        floors, bare, ours = [], [], []
        for _ in range(runs):
            floors.append(seconds_of(engine, empty, environ))
            bare.append(seconds_of([*engine, "--skip-preview"], empty, environ))
            ours.append(seconds_of(["make", "up"], root, dict(os.environ)))
    floor, mine = statistics.median(floors), statistics.median(ours)
    print(f"empty pulumi up: {_shown(floors)} s (without preview {_shown(bare)} s)")
    print(f"make up with nothing to do, a fresh completion included: {_shown(ours)} s")
    print(f"ratio {mine / floor:.2f} (limit {LIMIT}), median of {runs}: {mine:.2f} s to {floor:.2f} s")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps({"no-op up to empty up": round(mine / floor, 2)}), encoding="utf-8")
    return int(mine / floor > LIMIT)


def _shown(seconds: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)


if __name__ == "__main__":
    sys.exit(main())
