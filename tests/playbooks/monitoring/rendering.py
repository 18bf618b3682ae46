"""The role's templates with the variables of a real stack, rendered as Ansible renders them."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROLE = Path(__file__).parents[3] / "playbooks" / "roles" / "monitoring"
GROUPS = ("engine", "gpu", "node", "service")
_HEADER = "#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n"


@cache
def defaults() -> dict[str, Any]:
    """Return the role's defaults."""
    loaded: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    return loaded


def variables(**changes: Any) -> dict[str, Any]:
    """Return what rules are rendered with on 8x H100 at the guide's price; changed as said."""
    own: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    series = {job: own[f"monitoring_{job}_series"] for job in ("engine", "node", "gpu")}
    seqs = 64
    return {
        **defaults(),
        "monitoring_ttft_p95_s": 2.0,
        "monitoring_inter_token_latency_p95_s": 0.08,
        "monitoring_usd_per_hour": 31.36,
        "monitoring_planned_usd_per_million": 52.27,
        "monitoring_runbook_base_url": "docs/runbooks",
        "monitoring_max_num_seqs": seqs,
        "monitoring_waiting_requests": math.ceil(seqs * defaults()["monitoring_waiting_share"]),
        "monitoring_watched_mounts": ["/", "/srv/nodestack"],
        "monitoring_jobs": ["node", "gpu"],
        "monitoring_series": series,
        "fabric_gpu_count": 8,
        "monitoring_harmless_xids": [13, 31, 43, 45],
        **changes,
    }


def rules(group: str, **changes: Any) -> str:
    """Return a file of rules."""
    source = (ROLE / "templates" / "rules" / f"{group}.yml.j2").read_text()
    assert source.startswith(_HEADER)
    environment = jinja2.Environment(  # noqa: S701 - what comes out is YAML
        variable_start_string="[%", variable_end_string="%]", trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(source.removeprefix(_HEADER)).render(variables(**changes))


def alerts(**changes: Any) -> dict[str, dict[str, Any]]:
    """Return every alert by name."""
    return {rule["alert"]: rule for group in GROUPS for rule in _rules_of(group, **changes) if "alert" in rule}


def recorded(**changes: Any) -> dict[str, str]:
    """Return the expression of every series that rules record, by name."""
    return {
        rule["record"]: rule["expr"] for group in GROUPS for rule in _rules_of(group, **changes) if "record" in rule
    }


def _rules_of(group: str, **changes: Any) -> list[dict[str, Any]]:
    loaded: dict[str, Any] = yaml.safe_load(rules(group, **changes))
    return [rule for part in loaded["groups"] for rule in part["rules"]]


_WORDS = frozenset(["and", "or", "unless", "on", "by", "bool", "ignoring", "group_left", "group_right", "without"])
_SELECTOR = re.compile(r'(?<![\w"$.:])([a-zA-Z_:][\w:]*)(\{[^}]*\})?(?!\s*\()(?![\w:])')


def selectors(expression: str) -> set[str]:
    """Return the series that an expression reads, with their matchers, without ranges.

    >>> sorted(selectors('sum by (le) (rate(a_bucket{job="x"}[300s])) / b > 3'))
    ['a_bucket{job="x"}', 'b']
    """
    text = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", expression)
    text = re.sub(r"\[\d+s?\]", "", text)
    found = set()
    for name, matchers in _SELECTOR.findall(text):
        if name not in _WORDS and not re.fullmatch(r"[eE]\d*|\d.*", name):
            found.add(name + matchers)
    return found
