"""What a `make up` that has nothing to do costs, against the engine's own floor: `pulumi up` on an empty program.

Run beside a stack that is up: `python benchmarks/noop_up.py [--runs N]`. Both sides run in turn on the same machine.
The floor is `pulumi up --yes` as it comes, preview included; with --skip-preview it is shown beside it, not judged.
Ends with the ratio of the medians and fails above the limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nodestack.automation.checkout import find
from nodestack.automation.engine import environment, pulumi_binary

LIMIT = 2.5
EMPTY = """name: empty
runtime:
  name: python
  options:
    virtualenv: {virtualenv}
"""


def main() -> int:
    """Measure, print both medians and their ratio; 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--record", type=Path, help="file that gets the ratio as JSON")
    options = parser.parse_args()
    runs = options.runs
    root = find(Path.cwd()).root
    with tempfile.TemporaryDirectory() as scratch:
        empty, environ = _empty_project(Path(scratch), root)
        engine = [str(pulumi_binary(root)), "up", "--yes", "--stack", "floor"]
        _seconds(engine, empty, environ)
        _seconds(["make", "up"], root, dict(os.environ))
        floors, bare, ours = [], [], []
        for _ in range(runs):
            floors.append(_seconds(engine, empty, environ))
            bare.append(_seconds([*engine, "--skip-preview"], empty, environ))
            ours.append(_seconds(["make", "up"], root, dict(os.environ)))
    floor, mine = statistics.median(floors), statistics.median(ours)
    print(f"empty pulumi up: {_shown(floors)} s (without preview {_shown(bare)} s)")
    print(f"make up with nothing to do, a fresh completion included: {_shown(ours)} s")
    print(f"ratio {mine / floor:.2f} (limit {LIMIT}), median of {runs}: {mine:.2f} s to {floor:.2f} s")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps({"no-op up to empty up": round(mine / floor, 2)}), encoding="utf-8")
    return int(mine / floor > LIMIT)


def _empty_project(scratch: Path, root: Path) -> tuple[Path, dict[str, str]]:
    """Make a project whose program is empty, with a stack and a backend of its own."""
    project = scratch / "empty"
    (scratch / "backend").mkdir()
    project.mkdir()
    (project / "Pulumi.yaml").write_text(EMPTY.format(virtualenv=root / ".venv"), encoding="utf-8")
    (project / "__main__.py").write_text("", encoding="utf-8")
    inherited = {name: value for name, value in environment(root).items() if name != "PULUMI_CONFIG_PASSPHRASE_FILE"}
    environ = inherited | {"PULUMI_BACKEND_URL": f"file://{scratch / 'backend'}", "PULUMI_CONFIG_PASSPHRASE": "none"}
    subprocess.run(
        [str(pulumi_binary(root)), "stack", "init", "floor"], cwd=project, env=environ, check=True, capture_output=True
    )
    return project, environ


def _seconds(command: Sequence[str], directory: Path, environ: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(command, cwd=directory, env=environ, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - started


def _shown(seconds: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)


if __name__ == "__main__":
    sys.exit(main())
