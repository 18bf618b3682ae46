"""The policies as they hold here: ours, and what a file stacks/policies.yaml changes of them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from nodestack.catalog.entry import Entry, Fact
from nodestack.catalog.names import suggestion
from nodestack.errors import SettingsError, parts_of
from nodestack.policies.facts import ENVIRONMENTS, Environment
from nodestack.policies.rule import Terms
from nodestack.policies.rules import RULES

OURS = Path(__file__).with_name("policies.yaml")
OF_A_PROJECT = Path("stacks", "policies.yaml")
Severity = Literal["mandatory", "advisory", "disabled"]


class Policy(Fact):
    """A policy.

    Attributes:
        title: What it asks, in a line.
        why: What happens otherwise.
        fix: What to do when it stops something.
        severity: By environment.
        settings: What is set about it, by environment.
    """

    title: str
    why: str
    fix: str
    severity: dict[Environment, Severity]
    settings: dict[Environment, dict[str, Any]] = Field(default_factory=dict)


class Change(Entry):
    """What a project says of a policy, for the environments that it names."""

    severity: dict[Environment, Severity] = Field(default_factory=dict)
    settings: dict[Environment, dict[str, Any]] = Field(default_factory=dict)


class Book(Entry):
    """All policies by name, in the order in which they are shown."""

    policies: dict[str, Policy]

    def severity(self, name: str, environment: Environment) -> Severity:
        """Return how severe a policy is in an environment."""
        return self.policies[name].severity[environment]

    def terms(self, name: str, environment: Environment, more: Mapping[str, Any] | None = None) -> Terms:
        """Return what is set about a policy in an environment.

        Args:
            name: The policy's name.
            environment: Where.
            more: What takes the place of single settings, such as the engine's own configuration of a pack.

        Raises:
            SettingsError: It is no setting of the policy, or has a wrong value.
        """
        return _terms(name, environment, {**self.policies[name].settings.get(environment, {}), **(more or {})})


def load_for(project: Path) -> Book:
    """Return the policies as they hold in a project.

    Args:
        project: Directory of Pulumi.yaml; its stacks/policies.yaml is read where there is one.

    Raises:
        SettingsError: The file names what is not there, or has wrong values; all problems in one message.
    """
    path = project / OF_A_PROJECT
    return _changed(path) if path.is_file() else ours()


@cache
def ours() -> Book:
    """Return the policies as they come with nodestack."""
    return Book(policies=yaml.safe_load(OURS.read_text(encoding="utf-8")))


def _changed(path: Path) -> Book:
    policies = dict(ours().policies)
    problems: list[str] = []
    for name, said in _read(path).items():
        if name not in policies:
            problems.append(f"{name} is no policy, known are: {suggestion(str(name), policies)}")
            continue
        try:
            change = Change.model_validate(said)
            policies[name] = _apply(policies[name], change)
            for environment in ENVIRONMENTS:
                _terms(name, environment, policies[name].settings.get(environment, {}))
        except ValidationError as error:
            problems += [f"{name}.{part}" for part in parts_of(error)]
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n  ".join([f"{path} is wrong:", *problems]))
    return Book(policies=policies)


def _apply(policy: Policy, change: Change) -> Policy:
    settings = {
        environment: {**policy.settings.get(environment, {}), **change.settings.get(environment, {})}
        for environment in ENVIRONMENTS
    }
    return policy.model_copy(update={"severity": {**policy.severity, **change.severity}, "settings": settings})


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"{path} holds no mapping of policies by name")
    return found or {}


def _terms(name: str, environment: Environment, values: Mapping[str, Any]) -> Terms:
    kind: type[Terms] = RULES[name].terms
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = "; ".join(parts_of(error))
        raise SettingsError(f"settings of the policy {name} in {environment} are wrong: {found}") from None
