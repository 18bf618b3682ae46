"""Small stacks for policies: judged in this process, in milliseconds, as the pack does it behind the real engine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nodestack.catalog import load
from nodestack.planning.plan import make_plan
from nodestack.policies import book
from nodestack.policies.facts import Environment
from nodestack.policies.judging import Judged, judge_all, judge_one
from nodestack.policies.of_stack import facts_of
from nodestack.policies.rule import UNKNOWN
from nodestack.settings import parse
from tests.stacks import ROOT, SECRETS

CATALOG = load()
BASE = "production"


@dataclass(frozen=True)
class Stack:
    """A stack as policies see it.

    Attributes:
        facts: What it declares; UNKNOWN for what is not known yet.
        policies: What its project's stacks/policies.yaml says.
    """

    facts: Mapping[str, Any]
    policies: Mapping[str, Any]

    @property
    def environment(self) -> Environment:
        """Whose severities and settings hold."""
        found: Environment = self.facts["environment"]
        return found

    def judged(self, policy: str, directory: Path) -> Judged:
        """Return what a policy says of it; `directory` is empty, and takes the project's file."""
        return judge_one(policy, self.facts, self.environment, self.book(directory))

    def all_judged(self, directory: Path) -> list[Judged]:
        """Return what all policies of its environment say of it."""
        return judge_all(self.facts, self.environment, self.book(directory), "endpoint")

    def book(self, directory: Path) -> book.Book:
        """Return the policies of its project."""
        path = directory / book.OF_A_PROJECT
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.policies), encoding="utf-8")
        return book.load_for(directory)


def stack(base: str = BASE, **case: Any) -> Stack:
    """Return a stack of a case.

    Args:
        base: Name of the template that it starts from.
        case: `settings` that differ from it by section, `facts` that are said in spite of them, `unknown` names of
            facts that are not known yet, and `policies` of the project.
    """
    parsed = parse(config(base, case.get("settings") or {}), CATALOG, ROOT)
    said = facts_of(parsed, make_plan(parsed.request, CATALOG), CATALOG).inputs() | (case.get("facts") or {})
    return Stack(said | dict.fromkeys(case.get("unknown") or (), UNKNOWN), case.get("policies") or {})


def config(base: str, changes: Mapping[str, Any]) -> dict[str, str]:
    """Return the engine's configuration of a template with sections updated by key."""
    text = (ROOT / "stacks" / "templates" / f"{base}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)["config"]
    for section, change in changes.items():
        name = f"nodestack:{section}"
        values[name] = values.get(name, {}) | change
    return {name: json.dumps(value, default=str) for name, value in values.items()} | SECRETS


def cases() -> dict[str, dict[str, Any]]:
    """Return the cases of each policy that judges an endpoint."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text())
    return found


def passing(case: Mapping[str, Any]) -> Stack:
    """Return the stack that a policy lets pass."""
    return stack(**(case.get("passes") or {}))


def failing(case: Mapping[str, Any]) -> Stack:
    """Return the stack that it stops."""
    return stack(**case["fails"])


def unknown(case: Mapping[str, Any]) -> Stack:
    """Return the passing stack with values that are not known yet."""
    return stack(**(case.get("passes") or {}), unknown=case["unknown"])
