"""What `make up` says at its end: a completion, what was verified, where the time went, what to do next."""

from collections.abc import Mapping
from typing import Any

from nodestack.automation import completion


def show(outputs: Mapping[str, Any], api_key: str, seconds: Mapping[str, float]) -> None:
    """Print a fresh completion of the stack's endpoint and what stands behind it.

    Args:
        outputs: The stack's outputs.
        api_key: Sent to the endpoint, never shown.
        seconds: Wall time of what went before, by phase.

    Raises:
        ReachError: The endpoint does not answer as it should.
    """
    name = outputs["served_model_name"]
    reply = completion.ask(outputs["endpoint_url"], outputs["ca_certificate"], name, api_key)
    print(f"\n{name} at {outputs['endpoint_url']} says:")
    for line in _wrapped(reply.text):
        print(f"  {line}")
    print(f"  ({reply.tokens} tokens in {reply.seconds:.1f} s)\n")
    for line in (*_verified(outputs), _cost(outputs["cost"])):
        print(line)
    print(f"seconds: {_spent({**seconds, 'completion': reply.seconds})}")
    print(f"seconds by role, when the node was last configured: {_spent(outputs['phases'])}")
    for step in outputs["next_steps"]:
        print(f"next: {step}")


def _verified(outputs: Mapping[str, Any]) -> list[str]:
    volume, fabric, smoke = outputs["volume"], outputs["fabric"], outputs["smoke"]
    return [
        f"weights: {outputs['model_repository']} at {outputs['model_commit']}, manifest {outputs['manifest_sha256']}",
        f"fabric: {_passed(fabric)}; smoke: {_passed(smoke)}; vLLM {outputs['engine_version']}",
        f"volume: {volume['id']}, {volume['size_gib']:g} GiB, {'' if volume['protected'] else 'NOT '}protected",
    ]


def _spent(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{phase} {spent:.1f}" for phase, spent in seconds.items())


def _passed(verdict: Mapping[str, Any]) -> str:
    return f"{sum(1 for check in verdict['checks'] if check['pass'])} of {len(verdict['checks'])} checks passed"


def _cost(cost: Mapping[str, Any]) -> str:
    return f"cost: {cost['usd_per_hour']:.2f} USD/h, {cost['usd_per_month']:.2f} USD/month ({cost['basis']})"


def _wrapped(text: str) -> list[str]:
    printable = "".join(char if char.isprintable() else "·" for char in text)
    return [printable[start : start + 100] for start in range(0, len(printable), 100)] or ["(nothing)"]
