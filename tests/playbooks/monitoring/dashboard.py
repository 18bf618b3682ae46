"""The dashboard's panels and what they ask Prometheus."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.playbooks.monitoring.rendering import ROLE

PATH = ROLE / "files" / "dashboard.json"
# Nothing is there until it happens first, or until another role writes it.
_EVENTS = (
    "http_requests_total", "nodestack_certificate", "nodestack_smoke", "nodestack_fabric", "node_filesystem",
    "ALERTS{", "nodestack:usd_per_million_output_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One panel: what it is called, how it is drawn, and what it asks."""

    title: str
    kind: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def panels() -> Iterator[Panel]:
    """Yield every panel that asks something."""
    document: dict[str, Any] = json.loads(PATH.read_text())
    for panel in document["panels"]:
        if panel["type"] != "row":
            unit = panel["fieldConfig"]["defaults"].get("unit", "short")
            asked = tuple((target["legendFormat"], target["expr"]) for target in panel["targets"])
            yield Panel(panel["title"], panel["type"], unit, asked)


def queries() -> list[str]:
    """Return everything that is asked."""
    return [query for panel in panels() for _, query in panel.queries]


def may_be_empty() -> set[str]:
    """Return what may come to nothing on a node that is well."""
    return {query for query in queries() if query.startswith(_EVENTS) or any(name in query for name in _EVENTS)}
