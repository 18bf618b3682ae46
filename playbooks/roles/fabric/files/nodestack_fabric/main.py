"""The gate's command line: one verdict as JSON, the same as metrics, and a line for each fault.

Exits with 0 when all is well, with 1 otherwise.
"""

import argparse
import datetime
import json
import pathlib
import sys
import time
from collections.abc import Sequence

from nodestack_fabric import commands, expected, measured, metrics
from nodestack_fabric.entries import Entry, all_well
from nodestack_fabric.files import write
from nodestack_fabric.gate import Gate
from nodestack_fabric.guarded import guarded
from nodestack_fabric.surroundings import Surroundings

STATE = pathlib.Path("/var/lib/nodestack")
SETTINGS_REMEDY = "run `pulumi up`, which writes them again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, write the verdict and its metrics, print the faults."""
    options = _options(arguments)
    # A gate that is killed must not leave an older verdict standing.
    for path in (options.verdict, options.metrics):
        path.unlink(missing_ok=True)
    known: list[measured.Measured] = []

    def judge() -> list[Entry]:
        gate = Gate(
            expected.read(options.expectations),
            _surroundings(options.progress),
            lambda gpus: measured.read(options.measured, gpus),
            acceptance=options.level == "acceptance",
            again=options.again,
        )
        entries = gate.judge()
        known.extend([gate.measured] if gate.measured is not None else [])
        return entries

    entries = guarded("expectations", judge, SETTINGS_REMEDY)
    options.progress.unlink(missing_ok=True)
    return _tell(options, entries, known[0] if known else None)


def _tell(options: argparse.Namespace, entries: list[Entry], known: measured.Measured | None) -> int:
    """Write everything down; return the exit status."""
    well = all_well(entries)
    verdict: dict[str, object] = {"pass": well, "checks": [entry.document() for entry in entries]}
    if known is not None and known.anything:
        measured.keep(options.measured, known)
        verdict["measured"] = known.document()
    write(options.verdict, json.dumps(verdict, indent=2) + "\n")
    write(options.metrics, metrics.render(entries, known, time.time()))
    for entry in entries:
        if not entry.passed:
            print(f"{entry.title}: expected {entry.expected}, saw {entry.seen}: {entry.remedy}")
    if well:
        print(f"{len(entries)} checks passed")
    return 0 if well else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fabric-gate", description="Judge whether a node's GPUs are fit for service.")
    parser.add_argument("--expectations", type=pathlib.Path, default=pathlib.Path("/etc/nodestack/fabric.json"))
    parser.add_argument("--verdict", type=pathlib.Path, default=STATE / "results/fabric.json")
    parser.add_argument("--metrics", type=pathlib.Path, default=STATE / "metrics/fabric.prom")
    parser.add_argument("--measured", type=pathlib.Path, default=STATE / "fabric/measured.json")
    parser.add_argument("--progress", type=pathlib.Path, default=pathlib.Path("/run/nodestack/progress.json"))
    parser.add_argument("--level", choices=["boot", "acceptance"], default="boot")
    parser.add_argument("--again", action="store_true", help="measure again what was measured before")
    return parser.parse_args(arguments)


def _surroundings(progress: pathlib.Path) -> Surroundings:
    def tell(text: str) -> None:
        try:
            write(progress, json.dumps({"role": "fabric", "text": text}) + "\n")
        except OSError as error:
            # Nobody may be listening.
            print(f"{text} ({error})", file=sys.stderr)

    return Surroundings(
        run=commands.run,
        find=commands.find,
        tell=tell,
        clock=time.monotonic,
        sleep=time.sleep,
        uptime_s=lambda: float(pathlib.Path("/proc/uptime").read_text().split()[0]),
        today=lambda: datetime.datetime.now(datetime.UTC).date(),
    )


if __name__ == "__main__":
    sys.exit(main())
