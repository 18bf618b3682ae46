"""What `make up` says at its end: a completion, where the time went, what to do next."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nodestack.automation import completion, stack
from nodestack.automation.checkout import Checkout


def show(checkout: Checkout, name: str, seconds: Mapping[str, float]) -> None:
    """Print a fresh completion of the stack's endpoint and where the time went.

    Args:
        checkout: Where the stack is declared.
        name: The stack.
        seconds: Wall time of what went before, by phase.

    Raises:
        ReachError: The endpoint does not answer as it should.
    """
    with ThreadPoolExecutor() as pool:
        key = pool.submit(stack.api_key, checkout, name)
        outputs = stack.outputs(checkout, name)
        reply = completion.ask(outputs["endpoint_url"], outputs["served_model_name"], key.result())
    print(f"\n{outputs['served_model_name']} at {outputs['endpoint_url']} says:")
    for line in _wrapped(reply.text):
        print(f"  {line}")
    print(f"  ({reply.tokens} tokens in {reply.seconds:.1f} s)\n")
    phases = {**seconds, "completion": reply.seconds}
    print("seconds: " + ", ".join(f"{phase} {value:.1f}" for phase, value in phases.items()))
    _show_cost(outputs["cost"])
    for step in outputs["next_steps"]:
        print(f"next: {step}")


def _wrapped(text: str) -> list[str]:
    printable = "".join(char if char.isprintable() else "·" for char in text)
    return [printable[start : start + 100] for start in range(0, len(printable), 100)] or ["(nothing)"]


def _show_cost(cost: Mapping[str, Any]) -> None:
    print(f"cost: {cost['usd_per_hour']:.2f} USD/h, {cost['usd_per_month']:.2f} USD/month ({cost['basis']})")
