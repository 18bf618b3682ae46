"""The stacks to start from are complete: with credentials and nothing else they plan, fit, and say what they buy."""

import json
from typing import Any

import pytest
import yaml

from nodestack import purchase
from nodestack.catalog import load
from nodestack.planning.plan import make_plan, require
from nodestack.settings import Settings, parse
from tests.stacks import ROOT, SECRETS

CATALOG = load()
TEMPLATES = sorted(path.stem for path in (ROOT / "stacks" / "templates").glob("*.yaml"))
PAID = ("dev", "production", "production-h200", "spot")


def settings(template: str, **cloud: Any) -> Settings:
    text = (ROOT / "stacks" / "templates" / f"{template}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)["config"]
    values["nodestack:cloud"] |= cloud
    return parse({key: json.dumps(value) for key, value in values.items()} | SECRETS, CATALOG, ROOT)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_with_secrets_is_a_stack_that_fits(template: str) -> None:
    require(make_plan(settings(template).request, CATALOG))


@pytest.mark.parametrize("cloud", ["spheron", "verda"])
@pytest.mark.parametrize("template", PAID)
def test_a_paid_stack_takes_either_cloud_and_has_a_limit_that_the_price_list_keeps_to(
    template: str, cloud: str
) -> None:
    stack = settings(template, kind=cloud)
    bought, cost = purchase.of(stack, CATALOG), make_plan(stack.request, CATALOG).cost
    assert bought is not None
    assert bought.max_usd_per_hour is not None and cost.usd_per_hour is not None
    assert cost.usd_per_hour <= bought.max_usd_per_hour
    assert bought.query.market == cost.market


@pytest.mark.parametrize("template", PAID)
def test_the_image_is_of_the_release_that_the_driver_packages_are_for(template: str) -> None:
    node = settings(template).node
    release = node.image.removeprefix("Ubuntu ").replace(".", "")
    assert f"/ubuntu{release}/" in node.driver_repository
    assert f"/ubuntu{release}/" in node.driver_repository_key_url
