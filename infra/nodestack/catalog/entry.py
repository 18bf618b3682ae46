"""The base of catalogue entries: immutable, checked, and with a source and a date."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Entry(BaseModel):
    """Base of all entries: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(Entry):
    """An entry that says where it comes from.

    Attributes:
        source: Where the numbers were read or how they were derived.
        date: The day they were.
    """

    source: str
    date: date
