"""From what Pulumi shows a policy to plain values: what is not known yet becomes UNKNOWN, and nothing is raised."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from nodestack.policies.facts import FACTS, FIRST_COMPONENT
from nodestack.policies.rule import UNKNOWN

VOLUME, NODE = "nodestack:index:Volume", "nodestack:index:Node"


def plain(value: Any) -> Any:
    """Return a value without the proxies that raise where something inside is not known."""
    if isinstance(value, Mapping):
        return {key: _within(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_within(value, index) for index in range(len(value))]
    return value


def facts(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first component says is judged; UNKNOWN for all of it reads as nothing known."""
    found = plain(props).get(FACTS)
    return found if isinstance(found, dict) else {}


def whole(resources: Iterable[PolicyResource]) -> dict[str, Any]:
    """Return what all resources of a stack are together, as the rules of the subject `stack` take it."""
    listed = list(resources)
    volumes = {each.urn: each for each in listed if each.resource_type == VOLUME}
    nodes: dict[str, list[str]] = {each.name: [] for each in volumes.values()}
    for each in listed:
        if each.resource_type == NODE:
            for volume in each.property_dependencies.get("volumeId", []):
                if volume.urn in volumes:
                    nodes[volume.name].append(each.name)
    said = {each.name: facts(each.props) for each in listed if each.resource_type == FIRST_COMPONENT}
    return {
        "volumes": {each.name: bool(each.opts.protect) for each in volumes.values()},
        # In an order of their own: resources come as they are registered, side by side.
        "nodes": {name: sorted(found) for name, found in nodes.items()},
        "usd_per_hour": {name: values.get("usd_per_hour") for name, values in said.items()},
        "volume_usd_per_hour": {name: values.get("volume_usd_per_hour") for name, values in said.items()},
    }


def environments(resources: Iterable[PolicyResource]) -> list[dict[str, Any]]:
    """Return the facts of all endpoints of a stack."""
    return [facts(each.props) for each in resources if each.resource_type == FIRST_COMPONENT]


def _within(value: Any, key: Any) -> Any:
    try:
        return plain(value[key])
    except UnknownValueError:
        return UNKNOWN
