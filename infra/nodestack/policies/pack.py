"""The policies as Pulumi runs them: each looks at what it is shown, asks the rule, and reports what that says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError

from nodestack.policies import reading
from nodestack.policies.book import Book, load_for
from nodestack.policies.facts import ENVIRONMENTS, FACTS, FIRST_COMPONENT, STRICTEST, Environment
from nodestack.policies.judging import Judged, environment_said, judge_all, judge_one
from nodestack.policies.rules import RULES

ADVICE, DECLARED = "advice", "declared-facts"


def policies(project: Path | None = None) -> list[Policy]:
    """Return all policies, for a pack: ours alone, or beside those of one's own.

    An enforcement level belongs to a policy, and severity to an environment: what is only advisory where the stack is
    comes from one policy of its own, `advice`, and never stops anything.

    Args:
        project: Directory of Pulumi.yaml, whose stacks/policies.yaml is read; left out, looked for from here upwards.

    Raises:
        SettingsError: That file is wrong.
    """
    book = load_for(project or _project(Path.cwd()))
    return [_declared(), *(_policy(name, book) for name in RULES), _advice(book)]


def _project(start: Path) -> Path:
    found = (directory for directory in (start, *start.parents) if (directory / "Pulumi.yaml").is_file())
    return next(found, start)


def _policy(name: str, book: Book) -> Policy:
    described = book.policies[name]
    common: dict[str, Any] = {
        "name": name,
        "description": f"{described.title}. {described.why}",
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": _schema(name),
        "remediation_steps": described.fix,
    }

    def endpoint(args: ResourceValidationArgs, report: ReportViolation) -> None:
        values = reading.facts(args.props) if args.resource_type == FIRST_COMPONENT else {}
        if values:
            environment = environment_said(values)
            _report(judge_one(name, values, environment, book, args.get_config()), described.fix, report)

    def stack(args: StackValidationArgs, report: ReportViolation) -> None:
        environment = _strictest(args)
        values = reading.whole(args.resources)
        _report(judge_one(name, values, environment, book, args.get_config()), described.fix, report)

    if RULES[name].subject == "stack":
        return StackValidationPolicy(validate=stack, **common)
    return ResourceValidationPolicy(validate=endpoint, **common)


def _report(judged: Judged, fix: str, report: ReportViolation) -> None:
    if judged.severity != "mandatory":
        return
    if judged.verdict.outcome == "unknown":
        # Pulumi tells it as advice, of this policy, and asks again when the value is there.
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [FACTS, ", ".join(judged.verdict.unknown)])
    for said in judged.verdict.said:
        report(f"{said}. {fix}", None)


def _declared() -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == FIRST_COMPONENT and not reading.facts(args.props):
            report(
                f"{args.name} says nothing of what is served on it. Give it `judged`, the facts of the endpoint", None
            )

    return ResourceValidationPolicy(
        name=DECLARED,
        description="What is judged is declared. Policies judge what the weights volume says of its endpoint.",
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
    )


def _advice(book: Book) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for values in reading.environments(args.resources):
            environment = environment_said(values)
            _advise(judge_all(values, environment, book, "endpoint"), book, report)
        _advise(judge_all(reading.whole(args.resources), _strictest(args), book, "stack"), book, report)

    return StackValidationPolicy(
        name=ADVICE,
        description="What would stop a stricter environment.",
        validate=validate,
        enforcement_level=EnforcementLevel.ADVISORY,
    )


def _advise(found: list[Judged], book: Book, report: ReportViolation) -> None:
    for judged in found:
        if judged.severity == "advisory":
            for said in judged.verdict.said:
                report(f"{judged.verdict.policy}: {said}. {book.policies[judged.verdict.policy].fix}", None)


def _strictest(args: StackValidationArgs) -> Environment:
    """Return the strictest environment of a stack's endpoints."""
    found = {environment_said(values) for values in reading.environments(args.resources)}
    return next((environment for environment in reversed(ENVIRONMENTS) if environment in found), STRICTEST)


def _schema(name: str) -> PolicyConfigSchema | None:
    """Return what Pulumi's own configuration of a pack may set; without defaults, which it would set everywhere."""
    described: Mapping[str, Mapping[str, Any]] = RULES[name].terms.model_json_schema().get("properties", {})
    properties = {key: {part: said[part] for part in said if part != "default"} for key, said in described.items()}
    return PolicyConfigSchema(properties=properties) if properties else None
