"""A stack as its files declare it, without asking the engine: settings, plan, and what policies judge."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodestack.automation.checkout import Checkout
from nodestack.catalog import Catalog
from nodestack.errors import SettingsError
from nodestack.planning.plan import make_plan
from nodestack.planning.result import Plan
from nodestack.policies.facts import Facts
from nodestack.policies.of_stack import facts_of
from nodestack.settings import NAMESPACE, Settings, parse
from nodestack.settings.defaults import GENERATED
from nodestack.settings.secrecy import require_encrypted_in_file
from nodestack.stack_file import config_in


@dataclass(frozen=True)
class Declared:
    """A stack that was read.

    Attributes:
        name: Its name.
        settings: Its settings; in place of secrets there are words.
        plan: Its plan, at the price list's price.
        facts: What policies judge.
    """

    name: str
    settings: Settings
    plan: Plan
    facts: Facts


def read(checkout: Checkout, name: str, catalog: Catalog) -> Declared:
    """Return a stack by its file, or by the template of its name.

    Raises:
        SettingsError: There is neither, or it is wrong.
        CatalogError: A number is missing that its plan needs.
    """
    return of_text(name, source(checkout, name).read_text(encoding="utf-8"), checkout.root, catalog)


def of_text(name: str, text: str, directory: Path, catalog: Catalog) -> Declared:
    """Return a stack by the text of its file; raises as `read`."""
    values = config_in(text, f"the file of stack {name}")
    require_encrypted_in_file(values)
    for secret in GENERATED:
        values.setdefault(f"{NAMESPACE}:{secret}", {"secure": ""})
    config = {key: _as_the_engine_has_it(key, value) for key, value in values.items()}
    settings = parse(config, catalog, directory)
    plan = make_plan(settings.request, catalog)
    return Declared(name, settings, plan, facts_of(settings, plan, catalog))


def source(checkout: Checkout, name: str) -> Path:
    """Return the file of a stack, or the template of its name.

    Raises:
        SettingsError: There is neither.
    """
    found = checkout.source(name)
    if found is None:
        raise SettingsError(f"there is no stack {name}: neither {checkout.places(name)}")
    return found


def _as_the_engine_has_it(key: str, value: Any) -> str:
    value = _readable(key, value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _readable(key: str, value: Any) -> Any:
    """Return a value with words in place of what is encrypted, each secret's its own."""
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            return f"not.read.here.{key.replace(':', '.')}"
        return {name: _readable(f"{key}.{name}", inner) for name, inner in value.items()}
    return [_readable(key, inner) for inner in value] if isinstance(value, list) else value
