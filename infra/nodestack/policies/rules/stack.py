"""What all resources of a stack must be together."""

from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule, Terms


class Whole(Given):
    """All of a stack that is judged together.

    Attributes:
        volumes: Whether each weights volume is protected, by name.
        nodes: Names of the nodes that have each volume, by the volume's name.
        usd_per_hour: Price of each endpoint's node, by the name of its weights volume.
        volume_usd_per_hour: Rent of each volume, by name; None where it is not known.
    """

    volumes: dict[str, bool]
    nodes: dict[str, tuple[str, ...]]
    usd_per_hour: dict[str, float | None]
    volume_usd_per_hour: dict[str, float | None]


class Volumes(Given):
    """Which volumes there are, and how they are kept."""

    volumes: dict[str, bool]


def protected(given: Volumes, _: NoTerms) -> Iterator[str]:
    """Yield which volumes any teardown takes along."""
    for name, kept in given.volumes.items():
        if not kept:
            yield f"the weights volume {name} is not protected: a teardown deletes what is on it"


class Attached(Given):
    """Which nodes have which volume."""

    nodes: dict[str, tuple[str, ...]]


def one_node(given: Attached, _: NoTerms) -> Iterator[str]:
    """Yield which volumes two nodes would write to."""
    for volume, nodes in given.nodes.items():
        if len(nodes) > 1:
            yield f"the weights volume {volume} has {len(nodes)} nodes: {', '.join(nodes)}"


class Bill(Given):
    """What everything costs."""

    usd_per_hour: dict[str, float | None]
    volume_usd_per_hour: dict[str, float | None]


class StackBudget(Terms):
    """What a whole stack may cost; None sets no limit.

    Attributes:
        usd_per_hour: All nodes and volumes, an hour.
    """

    usd_per_hour: float | None = None


def within_budget(given: Bill, budget: StackBudget) -> Iterator[str]:
    """Yield by how much a stack is too dear; a node's price that nobody knows keeps to no limit."""
    if budget.usd_per_hour is None:
        return
    unpriced = [name for name, price in given.usd_per_hour.items() if price is None]
    if unpriced:
        yield f"nobody knows the price of {', '.join(unpriced)}, {budget.usd_per_hour:,.2f} USD an hour are allowed"
    total = sum(price or 0.0 for price in (*given.usd_per_hour.values(), *given.volume_usd_per_hour.values()))
    if total > budget.usd_per_hour:
        yield f"the stack costs {total:,.2f} USD an hour, at most {budget.usd_per_hour:,.2f} are allowed"


RULES = (
    Rule("volume-protected", Volumes, NoTerms, protected, "stack"),
    Rule("one-node-per-volume", Attached, NoTerms, one_node, "stack"),
    Rule("stack-budget", Bill, StackBudget, within_budget, "stack"),
)
