"""What differs between two stacks, on a terminal."""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.rendering.plan_table import section

Kind = Literal["setting", "plan"]


class Difference(BaseModel):
    """One thing that two stacks do not have alike.

    Attributes:
        kind: `setting`, or `plan` for what follows from settings.
        name: The setting, the figure of the plan, or the engine's option.
        left: What the first stack has; null where it has nothing.
        right: What the second has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: str
    left: JsonValue
    right: JsonValue


def environments_table(left: str, right: str, found: Sequence[Difference]) -> Group:
    """Return what differs, settings first, then what that makes of the plan."""
    if not found:
        return Group(Text(f"{left} and {right} have the same settings and the same plan."))
    parts: list[RenderableType] = []
    for title, kind in (("Settings", "setting"), ("Plan", "plan")):
        rows = [each for each in found if each.kind == kind]
        if rows:
            parts += section(title, _table(left, right, rows))
    return Group(*parts)


def _table(left: str, right: str, rows: Sequence[Difference]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", left, right):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.name, _shown(row.left), _shown(row.right))
    return table


def _shown(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return value if isinstance(value, str) else json.dumps(value)
