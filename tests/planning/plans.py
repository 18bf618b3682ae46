"""Requests as tests of the planner need them."""

from typing import Any

from nodestack.catalog import load
from nodestack.planning.plan import make_plan
from nodestack.planning.result import Plan
from nodestack.settings import Request

BASE: dict[str, dict[str, Any]] = {
    "node": {"shape": "8x-h100-sxm5"},
    "model": {"name": "trinity-large-thinking", "format": "fp8-block"},
    "engine": {"version": "0.23.0"},
    "serving": {},
    "workload": {},
    "cost": {},
}


def request(**sections: Any) -> Request:
    """Return a request for Trinity on eight H100, with sections updated by key; `cloud` is no section but its kind."""
    cloud = sections.pop("cloud", None)
    values = {name: BASE.get(name, {}) | sections.get(name, {}) for name in BASE.keys() | sections.keys()}
    return Request.model_validate(values | {"cloud": cloud})


def plan(**sections: Any) -> Plan:
    """Return the plan of such a request."""
    return make_plan(request(**sections), load())
