"""What a node proves before it takes traffic, and keeps on proving."""

from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import Rule, Terms


class Gates(Given):
    """Which gates there are."""

    gates: tuple[str, ...]
    smoke_interval_minutes: int


class GateTerms(Terms):
    """Which gates must be there.

    Attributes:
        needed: Names of gates.
        smoke_again: Whether the model must be asked again while it serves.
    """

    needed: tuple[str, ...] = ("fabric", "smoke")
    smoke_again: bool = False


def kept(given: Gates, terms: GateTerms) -> Iterator[str]:
    """Yield which gate is left out."""
    for gate in terms.needed:
        if gate not in given.gates:
            yield f"the {gate} gate is skipped"
    if terms.smoke_again and given.smoke_interval_minutes == 0:
        yield "serving.smoke_interval_minutes is 0: nobody asks the model again whether it answers"


RULES = (Rule("gates-kept", Gates, GateTerms, kept),)
