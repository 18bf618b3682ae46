"""The rules, by name, in the order in which they are shown."""

from typing import Any

from nodestack.policies.rule import Rule
from nodestack.policies.rules import engine, exposure, gates, machine, money, place, stack, volume, weights

RULES: dict[str, Rule[Any, Any]] = {
    rule.name: rule
    for module in (weights, volume, machine, engine, exposure, gates, money, place, stack)
    for rule in module.RULES
}
