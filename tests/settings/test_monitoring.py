"""What a stack says about being watched is refused where it would open the metrics, or tell nobody."""

from typing import Any

import pytest

from nodestack.catalog import load
from nodestack.errors import SettingsError
from nodestack.planning.document import node_document
from nodestack.planning.plan import make_plan
from nodestack.settings import parse
from tests.stacks import config, gpu_config

OUTSIDE = {"scrape": "external", "allowed_cidrs": ["192.0.2.0/24"]}
MAIL = {"email_to": "a@example.com", "email_from": "b@example.com", "email_smarthost": "smtp.example.com:587"}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"scrape": "external"}, "allowed_cidrs must name the monitor's networks"),
        ({"allowed_cidrs": ["192.0.2.0/24"]}, "allowed_cidrs is for scrape: external"),
        ({**OUTSIDE, "allowed_cidrs": ["0.0.0.0/0"]}, "that is everybody"),
        ({**OUTSIDE, "allowed_cidrs": ["::/0"]}, "that is everybody"),
        ({**OUTSIDE, "allowed_cidrs": ["192.0.2.1/24"]}, "a network such as 192.0.2.0/24 is needed"),
        ({**OUTSIDE, "alertmanager_url": "http://198.51.100.7:9093"}, "must name an address within allowed_cidrs"),
        ({**OUTSIDE, "alertmanager_url": "https://alerts.example.com"}, "must name an address within allowed_cidrs"),
        ({"alertmanager_url": "alerts.example.com"}, "an http or https URL is needed"),
        ({"webhook_url": "ftp://example.com"}, "an http or https URL is needed"),
        ({"alertmanager_url": "http://a.example.com", "webhook_url": "http://b.example.com"}, "beside webhook_url"),
        ({"email_to": "a@example.com"}, "all of email_to, email_from and email_smarthost, or none"),
        ({**MAIL, "email_smarthost": "smtp.example.com"}, "it must be HOST:PORT"),
        ({"retention_days": 0}, "greater than 0"),
        ({"ttft_p95_s": 0}, "greater than 0"),
        ({"grafna": True}, "did you mean nodestack:monitoring.grafana?"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(section: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match="nodestack:monitoring") as refused:
        parse(config(monitoring=section))
    assert told in str(refused.value)


@pytest.mark.parametrize("section", [OUTSIDE, MAIL, {**OUTSIDE, "alertmanager_url": "http://192.0.2.9:9093/am"}])
def test_what_can_be_is_taken(section: dict[str, Any]) -> None:
    assert parse(config(monitoring=section)).monitoring.model_dump(mode="json").items() >= section.items()


def variables(settings: dict[str, str]) -> dict[str, Any]:
    parsed, catalog = parse(settings), load()
    return node_document(parsed, make_plan(parsed.request, catalog), catalog)


def test_alerts_compare_with_the_profile_and_with_the_price_of_the_plan() -> None:
    asked = variables(gpu_config(serving={"profile": "throughput"}, monitoring={"enabled": True}))
    assert asked["monitoring_ttft_p95_s"] == 6
    assert asked["monitoring_usd_per_hour"] == 31.36
    assert asked["monitoring_planned_usd_per_million"] == 52.27


def test_what_the_stack_says_itself_counts_before_its_profile() -> None:
    asked = variables(config(monitoring={"ttft_p95_s": 0.5, "inter_token_latency_p95_s": 0.03}))
    assert (asked["monitoring_ttft_p95_s"], asked["monitoring_inter_token_latency_p95_s"]) == (0.5, 0.03)


def test_a_free_node_is_compared_with_no_cost() -> None:
    assert variables(config())["monitoring_planned_usd_per_million"] == 0
