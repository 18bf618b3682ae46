"""What it runs on: a machine that stays, whose GPUs reach each other directly."""

from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule


class Bought(Given):
    """How the machine is bought."""

    market: str


def no_spot(given: Bought, _: NoTerms) -> Iterator[str]:
    """Yield that the cloud may take the machine back; a market that is not known is no better."""
    if given.market != "on_demand":
        yield f"the node is bought on the market {given.market!r}: its cloud may take it back at any time"


class Linked(Given):
    """How its GPUs reach each other."""

    interconnect: str


def no_pcie(given: Linked, _: NoTerms) -> Iterator[str]:
    """Yield that GPUs meet over a bus; those that a CPU replays meet nowhere, and are let pass."""
    if given.interconnect not in {"nvlink", "none"}:
        yield f"the node's GPUs reach each other over {given.interconnect}: tensor parallel waits for it at every layer"


RULES = (Rule("no-spot", Bought, NoTerms, no_spot), Rule("no-pcie", Linked, NoTerms, no_pcie))
