"""What the gateway costs before a real engine: pairs of the same request, directly and through it, on the stack's node.

Run beside a stack that is up: `python -m benchmarks.gateway_vllm --stack local`. Each pair asks both sides, by turns
the other first. Ends with the ratio of the pairs (geometric mean) and its 95 % interval (Student's t on logarithms).
"""

import argparse
import json
import math
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nodestack.automation import stack
from nodestack.automation.checkout import find
from nodestack.automation.engine_call import Engine
from nodestack.provisioning import reach

PROBE = Path(__file__).with_name("gateway_probe.py")
PLACE = "/run/gateway_probe.py"
TIMEOUT_S = 600
# Student's t at 97.5 % by degrees of freedom: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
T_975 = {4: 2.776, 9: 2.262, 14: 2.145, 19: 2.093, 29: 2.045}


def interval(pairs: list[dict[str, Any]], what: str) -> tuple[float, float, float]:
    """Return the geometric mean of gateway to direct, and the ends of its 95 % interval."""
    logs = [math.log(pair["gateway"][what] / pair["direct"][what]) for pair in pairs]
    mean, freedom = statistics.mean(logs), len(logs) - 1
    half = T_975[freedom] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="local")
    parser.add_argument("--pairs", type=int, default=10, choices=[freedom + 1 for freedom in T_975])
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--record", type=Path, help="file that gets the ratios as JSON")
    options = parser.parse_args()
    checkout = find(Path.cwd())
    resources = checkout.latest(options.stack).get("resources") or []
    node = next(each for each in resources if each["type"] == "nodestack:index:Node")["outputs"]
    key = Engine(checkout, options.stack).ask("config", "get", "nodestack:ssh_private_key")
    connection = reach.Connection(
        address=node["address"],
        port=node["sshPort"],
        user=node["sshUser"],
        host_public_key=node["sshHostPublicKey"],
        private_key=SecretStr(key),
    )
    outputs = stack.outputs(checkout, options.stack)
    gateway = outputs["endpoint_url"].removesuffix("/v1").replace(node["address"], "127.0.0.1")
    asked = [
        "python3", PLACE, "pairs", "--model", outputs["served_model_name"], "--pairs", str(options.pairs),
        "--max-tokens", str(options.max_tokens), "--gateway", gateway,
    ]  # fmt: skip
    with reach.session(connection) as opened:
        opened.run(f"printf %s {shlex.quote(PROBE.read_text())} | sudo -n tee {PLACE} >/dev/null", TIMEOUT_S)
        printed = opened.run(f"sudo -n {shlex.join(asked)}", TIMEOUT_S)
    pairs = json.loads(printed)["pairs"]
    for pair in pairs:
        print(
            ", ".join(
                f"{side} first {took['first_s']:.4f} s, whole {took['total_s']:.3f} s" for side, took in pair.items()
            )
        )
    ratios = {}
    for what, name in (("first_s", "time to first token"), ("total_s", "whole reply")):
        ratio, low, high = interval(pairs, what)
        ratios[f"gateway to direct, {name}"] = round(ratio, 3)
        held = f"95 % interval {low:.3f} to {high:.3f}, {len(pairs)} pairs"
        print(f"{name}: through the gateway {ratio:.3f} of direct, {held}")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
