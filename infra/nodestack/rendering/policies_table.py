"""Policies on a terminal: all of them with their severities, one with its reasons, or what they say of a stack."""

import json
from collections.abc import Sequence

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodestack.policies.book import Book
from nodestack.policies.facts import ENVIRONMENTS, Environment
from nodestack.policies.judging import Judged

_STYLES = {"mandatory": "bold", "advisory": "", "disabled": "dim"}
_SHOWN = {"mandatory": "stops", "advisory": "advises", "disabled": "-"}


def policies_table(policies: Book) -> Group:
    """Return all policies, with how severe each is in each environment."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("policy", "asks", *ENVIRONMENTS):
        table.add_column(name)
    for name, policy in policies.policies.items():
        levels = [policy.severity[environment] for environment in ENVIRONMENTS]
        table.add_row(name, policy.title, *(Text(_SHOWN[level], style=_STYLES[level]) for level in levels))
    return Group(table, Text("nodestack policies NAME tells why and how to fix it; stacks/policies.yaml changes it."))


def policy_told(name: str, policies: Book) -> Group:
    """Return one policy with why it is there, what to do, and what is set about it."""
    policy = policies.policies[name]
    rows = [f"why: {policy.why}", f"fix: {policy.fix}"]
    for environment in ENVIRONMENTS:
        settings = policies.terms(name, environment).model_dump(mode="json")
        told = f", {json.dumps(settings)}" if settings else ""
        rows.append(f"{environment}: {policy.severity[environment]}{told}")
    rows.append(f"source: {policy.source}, {policy.date}")
    body = Padding(Text("\n".join(rows)), (0, 0, 0, 4), expand=False)
    return Group(Text.assemble((name, "bold"), f"  {policy.title}"), body)


def verdicts_table(stack: str, environment: Environment, found: Sequence[Judged], policies: Book) -> Group:
    """Return what each policy says of a stack; what to do where it does not pass."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("policy", "verdict", "what it says"):
        table.add_column(name)
    for judged in found:
        verdict = judged.verdict
        said = "; ".join(verdict.said)
        told = f"{said}. {policies.policies[verdict.policy].fix}" if said else ""
        stops = Text("stops", style="bold red") if judged.stops else Text(_outcome(judged))
        table.add_row(verdict.policy, stops, told)
    return Group(Text(f"{stack} as a stack of the environment {environment}:"), table)


def _outcome(judged: Judged) -> str:
    return "advises" if judged.verdict.outcome == "violated" else judged.verdict.outcome
