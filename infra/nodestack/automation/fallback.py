"""What each fallback of a stack buys: its node's settings, what that asks a cloud for, and the file that says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nodestack.automation import files, private
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.catalog import Catalog
from nodestack.lifecycle.choose import Wish, query_of
from nodestack.lifecycle.journal import Step
from nodestack.lifecycle.watch import steps
from nodestack.settings import NodeSettings, Section, validate
from nodestack.settings.defaults import with_defaults
from nodestack.settings.watch import WatchSettings


class Terms(Section):
    """The sections of a stack's file that a watch needs; its secrets stay encrypted.

    Attributes:
        node: What is declared.
        watch: What may take its place.
    """

    node: NodeSettings
    watch: WatchSettings = WatchSettings()


def terms(checkout: Checkout, stack: str) -> Terms:
    """Return what a stack's file, or its template, says.

    Raises:
        SettingsError: There is neither, or what stands there is wrong.
    """
    own = {name: dict(files.section(checkout, stack, name)) for name in ("node", "watch")}
    values = {name: section for name, section in with_defaults(own, checkout.root).items() if name in own}
    return validate(Terms, values, None, checkout.root, f"the settings of stack {stack}")


def wishes(said: Terms, catalog: Catalog) -> dict[Step, Wish]:
    """Return what each step asks a cloud for.

    Raises:
        CatalogError: There is no such shape.
    """
    return {step: _wish(_changed(said.node, step, said.watch), catalog) for step in steps(said.watch)}


def settings_file(checkout: Checkout, stack: str, step: Step, watch: WatchSettings) -> Path | None:
    """Write the stack's settings with a step's node, and return the file; None where its own say the same.

    It is of mode 0600, its secrets are encrypted as in the stack's own.
    """
    if step == "declared":
        return None
    document = files.document(checkout, stack)
    key = f"{PROJECT}:node"
    own, shared = document["config"].get(key) or {}, with_defaults({}, checkout.root).get("node", {})
    # What all stacks share would come back where it is left out; said to be nothing, it does not.
    emptied = {name: None for name, value in changes(step, watch).items() if value is None and name in shared}
    document["config"][key] = _with(own, changes(step, watch)) | emptied
    path = checkout.state / "watch" / f"{stack}.{step}.yaml"
    return private.write(path, yaml.safe_dump(document, sort_keys=False))


def changes(step: Step, watch: WatchSettings) -> dict[str, object]:
    """Return what a step changes in the section `node`; None stands for what it leaves out.

    >>> changes("on_demand", WatchSettings())
    {'region': None, 'market': 'on_demand'}
    """
    match step:
        case "region":
            return {"region": None}
        case "offer":
            told = {"shape": watch.offer_shape, "max_usd_per_hour": watch.offer_max_usd_per_hour}
        case "on_demand":
            told = {"market": "on_demand", "max_usd_per_hour": watch.on_demand_max_usd_per_hour}
        case _:
            return {}
    return {"region": None, **{name: value for name, value in told.items() if value is not None}}


def _changed(node: NodeSettings, step: Step, watch: WatchSettings) -> NodeSettings:
    return NodeSettings.model_validate(_with(node.model_dump(), changes(step, watch)))


def _with(section: Mapping[str, Any], changed: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**section, **changed}.items() if value is not None}


def _wish(node: NodeSettings, catalog: Catalog) -> Wish:
    query = query_of(catalog.shape(node.shape), node.market, node.region)
    return Wish(query=query, image=node.image, max_usd_per_hour=node.max_usd_per_hour)
