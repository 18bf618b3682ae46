"""What a way of tuning needs at least, by every source that says so."""

from dataclasses import dataclass

from nodestack.catalog.names import suggestion
from nodestack.catalog.tuning import Floor, Tuning
from nodestack.errors import CatalogError


@dataclass(frozen=True)
class Floors:
    """What is stated about one approach.

    Attributes:
        statements: One for each source; each with its date.
        contradictory: Whether they name different hardware.
    """

    statements: tuple[Floor, ...]
    contradictory: bool


def floor(tuning: Tuning, approach: str) -> Floors:
    """Return the least hardware that an approach is said to need.

    Raises:
        CatalogError: The approach is not known; the message names those that are.
    """
    if approach not in tuning.floors:
        raise CatalogError(f"approach is {approach!r}, known are: {suggestion(approach, tuning.floors)}")
    statements = tuning.floors[approach]
    return Floors(statements, contradictory=len({frozenset(each.shapes) for each in statements}) > 1)
