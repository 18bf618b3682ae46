"""`nodestack policies`: what is asked of stacks and how severely, or what all policies say of one stack."""

import argparse
import json
from pathlib import Path

from nodestack.automation.checkout import find
from nodestack.catalog import load_for
from nodestack.catalog.names import suggestion
from nodestack.commands import declared
from nodestack.errors import SettingsError
from nodestack.policies import book
from nodestack.policies.book import Book
from nodestack.policies.judging import Judged, judge_all
from nodestack.rendering.policies_table import policies_table, policy_told, verdicts_table
from nodestack.rendering.terminal import show


def run(options: argparse.Namespace) -> int:
    """Print all policies, one of them, or what they say of a stack; 1 when one would stop that stack.

    Raises:
        SettingsError: There is no such policy or stack, or stacks/policies.yaml is wrong.
    """
    policies = book.load_for(_project())
    if options.stack:
        return _judge(options, policies)
    if options.name:
        known = policies.policies
        if options.name not in known:
            raise SettingsError(f"{options.name!r} is no policy, known are: {suggestion(options.name, known)}")
        policies = Book(policies={options.name: known[options.name]})
    if options.json:
        print(json.dumps(policies.model_dump(mode="json")["policies"], indent=2))
    else:
        show(policy_told(options.name, policies) if options.name else policies_table(policies))
    return 0


def _judge(options: argparse.Namespace, policies: Book) -> int:
    checkout = find(Path.cwd())
    stack = declared.read(checkout, options.stack, load_for(checkout.root))
    found: list[Judged] = judge_all(stack.facts.inputs(), stack.facts.environment, policies, "endpoint")
    if options.json:
        print(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
    else:
        show(verdicts_table(stack.name, stack.facts.environment, found, policies))
    return int(any(each.stops for each in found))


def _project() -> Path:
    try:
        return find(Path.cwd()).root
    except FileNotFoundError:
        return Path.cwd()
