"""A preview as its engine told it: from the events of its log to operations, findings and prices."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from nodestack.policies.facts import FACTS, FIRST_COMPONENT

VOLUME = "nodestack:index:Volume"
PRICES = ("usd_per_hour", "usd_per_month", "usd_per_million_output_tokens")
LOSING = frozenset({"delete", "replace", "create-replacement", "delete-replaced", "discard", "discard-replaced"})
"""Operations after which what is there is there no more, or is no longer known."""

_QUIET = frozenset({"same", "read", "refresh"})


class Part(BaseModel):
    """Base of all parts: immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Operation(Part):
    """What is done to a resource.

    Attributes:
        op: The engine's word for it.
        kind: The resource's type.
        name: Its name.
        protected: Whether what is there is protected.
    """

    op: str
    kind: str
    name: str
    protected: bool


class Finding(Part):
    """What a policy says.

    Attributes:
        policy: Its name.
        level: `mandatory` or `advisory`.
        message: What is wrong and what to do.
    """

    policy: str
    level: str
    message: str


class Price(Part):
    """What an endpoint costs.

    Attributes:
        name: Of its weights volume.
        deployed: Prices as they were when it was last brought up, by name; empty where it was not.
        planned: Prices as planned; empty where it would be no more.
    """

    name: str
    deployed: dict[str, float | None]
    planned: dict[str, float | None]


class Preview(Part):
    """All of a preview that somebody has to judge.

    Attributes:
        operations: What would be done, what stays as it is left out.
        findings: What policies say.
        errors: What the engine and the program call an error.
        prices: Of each endpoint.
        ended: Whether the engine came to the end, so that there is nothing more to say.
    """

    operations: tuple[Operation, ...]
    findings: tuple[Finding, ...]
    errors: tuple[str, ...]
    prices: tuple[Price, ...]
    ended: bool

    @property
    def refusals(self) -> list[str]:
        """Why nothing of it may be done, each with what to do; nothing when it may."""
        return [*_lost(self.operations), *_stopped(self.findings), *self.errors, *_unfinished(self)]


def read(lines: Iterable[str]) -> Preview:
    """Return a preview from the lines of its event log; a line that is no event is an error, and so is an early end."""
    events, broken = [], []
    for line in filter(str.strip, lines):
        try:
            events.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            broken.append("the engine's log has a line that cannot be read: preview again")
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return Preview(
        operations=tuple(_operation(step) for step in steps if step["op"] not in _QUIET),
        findings=tuple(_finding(event["policyEvent"]) for event in events if "policyEvent" in event),
        errors=(*_errors(events), *broken),
        prices=tuple(_price(step) for step in steps if step["type"] == FIRST_COMPONENT),
        ended=any("summaryEvent" in event for event in events),
    )


def _operation(step: Mapping[str, Any]) -> Operation:
    old = step.get("old") or {}
    return Operation(op=step["op"], kind=step["type"], name=_name(step["urn"]), protected=bool(old.get("protect")))


def _finding(event: Mapping[str, Any]) -> Finding:
    message = " ".join(str(event["message"]).split())
    return Finding(policy=event["policyName"], level=event["enforcementLevel"], message=message)


def _price(step: Mapping[str, Any]) -> Price:
    sides = [((step.get(side) or {}).get("inputs") or {}).get(FACTS) or {} for side in ("old", "new")]
    deployed, planned = ({name: _number(side.get(name)) for name in PRICES if name in side} for side in sides)
    return Price(name=_name(step["urn"]), deployed=deployed, planned=planned)


def _number(value: Any) -> float | None:
    """Return a price; None where nobody knows it, the engine's word for a value that is not known yet among that."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _errors(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        told = event.get("diagnosticEvent") or {}
        message = " ".join(str(told.get("message", "")).split())
        # The engine's last word, which says nothing that was not said.
        if told.get("severity") == "error" and message not in {"preview failed", "update failed"}:
            yield message


def _lost(operations: Iterable[Operation]) -> Iterator[str]:
    for operation in operations:
        if operation.op in LOSING and (operation.protected or operation.kind == VOLUME):
            yield (
                f"{operation.op} of {operation.kind} {operation.name}: what is on it would be lost. Change the stack "
                "so that it stays; giving weights up is `make purge`, by a person"
            )


def _stopped(findings: Iterable[Finding]) -> Iterator[str]:
    return (f"{finding.policy}: {finding.message}" for finding in findings if finding.level == "mandatory")


def _unfinished(preview: Preview) -> Iterator[str]:
    if not preview.ended:
        yield "the preview did not come to its end: nothing is known about what would be done"


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
