"""Numbers as a cost is told in them: exact inside, rounded in every dump, never infinite."""

import sys
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer

from nodestack.catalog.entry import Entry


class Figures(Entry):
    """Base of all parts of a cost: immutable."""


def _finite(value: float) -> float:
    # JSON has no infinity: what overflows is told as the largest number there is, or the smallest.
    return max(-sys.float_info.max, min(value, sys.float_info.max))


def _rounded(digits: int) -> PlainSerializer:
    return PlainSerializer(lambda value: round(value, digits), return_type=float)


Usd = Annotated[float, AfterValidator(_finite), _rounded(2)]
"""USD, dumped to the cent."""
SmallUsd = Annotated[float, AfterValidator(_finite), _rounded(6)]
"""USD of things that cost less than a cent an hour."""
Share = Annotated[float, AfterValidator(_finite), _rounded(4)]
"""A part of one; below 0 or above 1 where the field says so."""
Amount = Annotated[float, AfterValidator(_finite), _rounded(2)]
"""Minutes, hours or millions of tokens."""
