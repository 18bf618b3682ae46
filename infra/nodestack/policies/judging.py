"""Judge an endpoint or a whole stack by all policies that are looked at in its environment."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from nodestack.policies.book import Book, Severity
from nodestack.policies.facts import ENVIRONMENTS, STRICTEST, Environment
from nodestack.policies.rule import Subject, Verdict, judge
from nodestack.policies.rules import RULES


class Judged(BaseModel):
    """What a policy says, and how severe that is here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    severity: Severity

    @property
    def stops(self) -> bool:
        """Whether nothing may be made."""
        return self.verdict.outcome == "violated" and self.severity == "mandatory"


def environment_said(values: Mapping[str, Any]) -> Environment:
    """Return the environment that facts name; where they name none that is known, the strictest holds."""
    said = values.get("environment")
    return next((known for known in ENVIRONMENTS if known == said), STRICTEST)


def judge_one(
    name: str, values: Mapping[str, Any], environment: Environment, book: Book, more: Mapping[str, Any] | None = None
) -> Judged:
    """Return what one policy says of values; raises SettingsError where `more` is no setting of it.

    Args:
        name: The policy's name.
        values: Facts by name, UNKNOWN for those that are not known yet.
        environment: Whose severities and settings hold.
        book: The policies.
        more: Settings that take the place of the book's.
    """
    verdict = judge(RULES[name], values, book.terms(name, environment, more))
    return Judged(verdict=verdict, severity=book.severity(name, environment))


def judge_all(values: Mapping[str, Any], environment: Environment, book: Book, subject: Subject) -> list[Judged]:
    """Return what every policy of a subject says that its environment looks at."""
    names = [name for name, rule in RULES.items() if rule.subject == subject]
    return [
        judge_one(name, values, environment, book) for name in names if book.severity(name, environment) != "disabled"
    ]
