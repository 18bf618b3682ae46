"""The form of all that a node says: frozen, and nothing in it that is not known here."""

from pydantic import BaseModel, ConfigDict


class Report(BaseModel):
    """A part of what a node's scripts print as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
