"""Where it may stand: the regions that data may be processed in."""

from collections.abc import Iterator

from pydantic import Field

from nodestack.policies.facts import Given
from nodestack.policies.rule import Rule, Terms


class Place(Given):
    """Whose machine, and where."""

    cloud: str
    region: str | None


class PlaceTerms(Terms):
    """Where it may stand.

    Attributes:
        allowed: Regions by cloud, as the cloud calls them; a cloud that is not named has none. Empty leaves it open.
    """

    allowed: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def allowed(given: Place, terms: PlaceTerms) -> Iterator[str]:
    """Yield that a region is not on the list; a node that may stand anywhere may stand elsewhere as well."""
    if not terms.allowed:
        return
    regions = terms.allowed.get(given.cloud, ())
    listed = ", ".join(regions) or "none"
    if given.region is None:
        yield f"node.region is left out, so the node may stand anywhere; allowed of {given.cloud} are: {listed}"
    elif given.region not in regions:
        yield f"node.region is {given.region}; allowed of {given.cloud} are: {listed}"


RULES = (Rule("allowed-region", Place, PlaceTerms, allowed),)
