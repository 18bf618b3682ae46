"""What the gateway adds to the first token, and whether it passes chunks on one by one.

`python -m benchmarks.gateway_latency`: boots a local node, plays the gateway's role on it, and asks a stand-in of the
engine, which streams at a fixed rate, directly and through the gateway in turn. Client and stand-in share the node's
clock: what is judged is the time that a request and its first event are on their ways, less the median of direct ones.
Ends with the figures, and fails above a limit.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.playbooks.gateway.nodes import GatewayNode, gateway_node

P50_LIMIT_MS, P99_LIMIT_MS = 3.0, 15.0
PACE_MS = 20.0


def measure(node: GatewayNode, requests: int) -> dict[str, float]:
    """Return what is added to the first event at p50 and p99, how late events are at p99, and how many came joined."""
    found = node.probe("latency", "--requests", requests, "--pace-ms", PACE_MS)
    direct, through = found["direct"]["added_ms"], found["gateway"]["added_ms"]
    floor = statistics.median(direct)
    added = [each - floor for each in through]
    return {
        "added p50 ms": round(statistics.median(added), 2),
        "added p99 ms": round(_p99(added), 2),
        "direct p99 over its median ms": round(_p99(direct) - floor, 2),
        "event late p99 ms": round(_p99(found["gateway"]["lags_ms"]), 2),
        "events joined": found["gateway"]["joined"],
        "events": len(found["gateway"]["lags_ms"]),
    }


def is_within(figures: dict[str, float]) -> bool:
    """Return whether the gateway is as quick as it must be, and holds nothing back."""
    quick = figures["added p50 ms"] <= P50_LIMIT_MS and figures["added p99 ms"] <= P99_LIMIT_MS
    return quick and figures["event late p99 ms"] < PACE_MS and figures["events joined"] <= figures["events"] / 100


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


def main() -> int:
    """Measure, print; 1 above a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="on each side (default: 300)")
    parser.add_argument("--record", type=Path, help="file that gets the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, gateway_node(Path(scratch)) as node:
        played = node.play()
        if played.exit_code:
            print(played.text, file=sys.stderr)
            return 1
        figures = measure(node, options.requests)
    print(", ".join(f"{name} {value:g}" for name, value in figures.items()))
    within = is_within(figures)
    print(
        f"the gateway adds {figures['added p50 ms']:g} ms at p50 (limit {P50_LIMIT_MS:g}) and "
        f"{figures['added p99 ms']:g} ms at p99 (limit {P99_LIMIT_MS:g}) to the first token: "
        f"{'within' if within else 'ABOVE'} the limits, events one by one"
    )
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps({f"gateway {name}": value for name, value in figures.items()}))
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
