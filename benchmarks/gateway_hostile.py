"""10,000 hostile requests from a quarter of the CPU: nothing of them passes, and an honest client hardly notices.

`python -m benchmarks.gateway_hostile`: boots a local node, plays the gateway's role on it, and attacks it there: no
key, wrong keys, huge bodies, slow loris, path tricks, smuggling, header floods, noise. The attacker measures the CPU
time that it uses and sleeps off what is beyond its share: inside a node this kernel enforces no limit of a group. All
the while an honest client asks for streamed replies at a fixed rate, as it did alone before and after.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.playbooks.gateway.nodes import ENGINE_KEY, GatewayNode, gateway_node

RATIO_LIMIT = 1.5
CPU_SHARE = 0.25
ALONE_S = 30
ALLOWED = {"/health", "/v1/models", "/v1/chat/completions"}


def attack(node: GatewayNode, requests: int) -> dict[str, Any]:
    """Return what was sent and answered, what reached the engine, and an honest client's p95, alone and meanwhile."""
    before = len(node.reached())
    alone = _alone(node)
    found: dict[str, Any] = {}

    def send() -> None:
        found.update(node.probe("hostile", "--requests", requests, "--cpu-share", CPU_SHARE))

    attacker = threading.Thread(target=send)
    attacker.start()
    meanwhile: list[float] = []
    while attacker.is_alive():
        meanwhile += node.probe("honest", "--seconds", 10)["took_ms"]
    attacker.join()
    alone += _alone(node)
    reached = node.reached()[before:]
    return {
        **found,
        "leaked": sorted({_target(each) for each in reached} - ALLOWED),
        "other keys": sum(_key(each) not in (None, f"Bearer {ENGINE_KEY}") for each in reached),
        "alone_p95_ms": round(_p95(alone), 1),
        "meanwhile_p95_ms": round(_p95(meanwhile), 1),
        "ratio": round(_p95(meanwhile) / _p95(alone), 2),
        "honest_requests": len(meanwhile),
    }


def _alone(node: GatewayNode) -> list[float]:
    took: list[float] = node.probe("honest", "--seconds", ALONE_S)["took_ms"]
    return took


def _target(reached: dict[str, Any]) -> str:
    return str(reached["target"]).partition("?")[0]


def _key(reached: dict[str, Any]) -> object:
    return reached["headers"].get("authorization")


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> int:
    """Attack, print; 1 where something passed, or the honest client was held up beyond the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="hostile ones (default: 10000)")
    parser.add_argument("--record", type=Path, help="file that gets the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, gateway_node(Path(scratch)) as node:
        played = node.play()
        if played.exit_code:
            print(played.text, file=sys.stderr)
            return 1
        found = attack(node, options.requests)
    for line, count in found["seen"].items():
        print(f"{count:6} {line}")
    passed = found["sent"] == options.requests and not found["leaked"] and not found["other keys"]
    print(
        f"{found['sent']} hostile requests with {found['cpu_share']:.0%} of the CPU: "
        f"{'nothing passed' if passed else 'PASSED: ' + ', '.join(found['leaked'])} beyond /v1 and /health; honest "
        f"p95 {found['meanwhile_p95_ms']} ms, alone {found['alone_p95_ms']} ms: ratio {found['ratio']} "
        f"(limit {RATIO_LIMIT})"
    )
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps({"honest p95 under attack to alone": found["ratio"]}))
    return int(not passed or found["ratio"] > RATIO_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
