"""Environments beside each other: `nodestack config new` makes one of another, `nodestack diff` compares."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from nodestack import naming
from nodestack.automation import private
from nodestack.automation.checkout import PROJECT, Checkout, find
from nodestack.catalog import load_for
from nodestack.commands import declared
from nodestack.commands.declared import Declared
from nodestack.errors import SettingsError
from nodestack.planning.plan import require
from nodestack.rendering.environments_table import Difference, Kind, environments_table
from nodestack.rendering.terminal import show
from nodestack.settings import NAMESPACE
from nodestack.settings.defaults import SECRETS
from nodestack.settings.editing import with_header, with_setting, without_secrets

PLANNED = {
    "fits": ("fits",),
    "weights at": ("commit",),
    "tensor parallel": ("parallel", "tensor_parallel_size"),
    "pipeline parallel": ("parallel", "pipeline_parallel_size"),
    "longest sequence": ("service_level", "max_model_len", "value"),
    "in flight": ("service_level", "max_num_seqs", "value"),
    "tokens a step": ("service_level", "max_num_batched_tokens", "value"),
    "KV cache tokens": ("kv", "tokens"),
    "held at once": ("kv", "concurrency"),
    "USD an hour": ("cost", "usd_per_hour"),
    "USD a month": ("cost", "usd_per_month"),
    "USD a M output tokens": ("cost", "usd_per_million_output_tokens"),
    "disk need bytes": ("disk_need_bytes",),
}
"""What of a plan is compared, by its name in the table."""


def new(options: argparse.Namespace) -> int:
    """Write the file of a new stack, made from another; it is checked and planned before it is written.

    Raises:
        SettingsError: The name or a setting is wrong, or there is such a stack.
        PlanError: What would be written cannot work.
    """
    checkout = find(Path.cwd())
    target = checkout.stack_file(options.name)
    naming.volume_name(PROJECT, options.name)
    if target.exists():
        raise SettingsError(f"there is a stack {options.name} already: {target.relative_to(checkout.root)}")
    text = _made_from(checkout, options.name, options.source, options.settings)
    require(declared.of_text(options.name, text, checkout.root, load_for(checkout.root)).plan)
    private.write(target, text)
    print(f"{target.relative_to(checkout.root)} is written; next: make up STACK={options.name}")
    return 0


def diff(options: argparse.Namespace) -> int:
    """Print what differs between two stacks; 0 when nothing does, 1 when something does."""
    checkout = find(Path.cwd())
    catalog = load_for(checkout.root)
    left, right = (declared.read(checkout, name, catalog) for name in options.stacks)
    found = [*_differences("setting", _settings(left), _settings(right))]
    found += _differences("plan", _planned(left), _planned(right))
    if options.json:
        print(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
    else:
        show(environments_table(left.name, right.name, found))
    return int(bool(found))


def _made_from(checkout: Checkout, name: str, source: str, settings: Iterable[str]) -> str:
    text = without_secrets(declared.source(checkout, source).read_text(encoding="utf-8"))
    header = [
        f"Stack {name}, made from {source} by `nodestack config new`. Bring it up: make up STACK={name}",
        "Every key: nodestack config explain, docs/configure.md.",
    ]
    text = with_header(text, header)
    for setting in settings:
        path, sign, value = setting.partition("=")
        section, dot, key = path.strip().removeprefix(f"{NAMESPACE}:").partition(".")
        if not (sign and dot and key):
            raise SettingsError(f"--set {setting}: say SECTION.KEY=VALUE, such as node.shape=4x-h200-sxm5")
        text = with_setting(text, section, key, _one_line(value))
    return text


def _one_line(value: str) -> str:
    shown = yaml.safe_dump(yaml.safe_load(value), default_flow_style=True, width=float("inf")).strip()
    return shown.removesuffix("...").strip()


def _settings(stack: Declared) -> dict[str, Any]:
    return dict(_flat(stack.settings.model_dump(mode="json", exclude=set(SECRETS)), ()))


def _planned(stack: Declared) -> dict[str, Any]:
    plan = stack.plan.model_dump(mode="json")
    figures = {name: _at(plan, path) for name, path in PLANNED.items()}
    return figures | {f"--{name}": value for name, value in stack.plan.options.items()}


def _at(value: Any, path: Iterable[str]) -> Any:
    for key in path:
        value = value[key] if isinstance(value, dict) else None
    return value


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, key))
    else:
        yield ".".join(path), value


def _differences(kind: Kind, left: dict[str, Any], right: dict[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*left, *right)):
        if left.get(name) != right.get(name):
            yield Difference(kind=kind, name=name, left=left.get(name), right=right.get(name))
