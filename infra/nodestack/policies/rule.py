"""A rule: what it asks to be given, what may be set about it, and the pure function that says what is wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nodestack.errors import parts_of
from nodestack.policies.facts import Given

G = TypeVar("G", bound=Given)
T = TypeVar("T", bound="Terms")
Subject = Literal["endpoint", "stack"]
"""What is judged: one endpoint before any of it is made, or all resources of a stack together."""


class Unknown(Enum):
    """A value that only exists once something else does."""

    VALUE = "known after something else is made"


UNKNOWN = Unknown.VALUE


class Terms(BaseModel):
    """Base of what may be set about a rule: immutable, unknown keys are errors, and every key has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoTerms(Terms):
    """Nothing may be set."""


@dataclass(frozen=True)
class Rule(Generic[G, T]):
    """A policy's code.

    Attributes:
        name: The policy's name.
        given: What it looks at; its fields are those of `Facts`, or of `Whole` for the subject `stack`.
        terms: What may be set about it.
        judge: Yields what is wrong, a sentence for each; pure.
        subject: What is judged.
    """

    name: str
    given: type[G]
    terms: type[T]
    judge: Callable[[G, T], Iterable[str]]
    subject: Subject = "endpoint"


class Verdict(BaseModel):
    """What a rule says of something.

    Attributes:
        policy: The rule's name.
        outcome: `passed`, `violated`, or `unknown` where what it needs is not known yet: never the same as passed.
        said: What is wrong, or what is not known.
        unknown: The names of what is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    outcome: Literal["passed", "violated", "unknown"]
    said: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def judge(rule: Rule[Any, Any], values: Mapping[str, Any], terms: Terms) -> Verdict:
    """Return what a rule says of values, of which more may be given than it needs.

    A value that is left out is a violation: what is not said is not allowed. One that is not known yet is neither.

    Args:
        rule: The rule.
        values: By the names of `rule.given`; UNKNOWN for what is not known.
        terms: Of the type `rule.terms`.
    """
    needed = rule.given.model_fields
    missing = [name for name in needed if name not in values]
    if missing:
        said = f"{', '.join(missing)}: not said, so it cannot be judged. Say it in the facts of the weights volume"
        return Verdict(policy=rule.name, outcome="violated", said=(said,))
    unknown = tuple(name for name in needed if _has_unknown(values[name]))
    if unknown:
        said = f"{', '.join(unknown)}: known only after something else is made, judged then"
        return Verdict(policy=rule.name, outcome="unknown", said=(said,), unknown=unknown)
    try:
        given = rule.given.model_validate({name: values[name] for name in needed})
    except ValidationError as error:
        return Verdict(policy=rule.name, outcome="violated", said=tuple(parts_of(error)))
    said_of_it = tuple(rule.judge(given, terms))
    return Verdict(policy=rule.name, outcome="violated" if said_of_it else "passed", said=said_of_it)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_unknown(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_has_unknown(inner) for inner in value)
    return value is UNKNOWN
