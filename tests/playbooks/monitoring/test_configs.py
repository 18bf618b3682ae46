"""What Prometheus and the Alertmanager are told is what their own checkers take, for every way of being told."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import pytest
import yaml

from tests.playbooks.monitoring import programs, rendering

BASE: dict[str, Any] = {
    "ansible_managed": "managed",
    "base_identity": 'node-1#"quoted"',
    "vllm_served_model_name": "tiny",
    "monitoring_directory": "/nowhere",
    "monitoring_engine_address": "127.0.0.1:8000",
    "monitoring_has_gpus": True,
    "monitoring_has_receiver": False,
    "monitoring_alertmanager_url": "",
    "monitoring_webhook_url": "",
    "monitoring_email_to": "",
    "monitoring_email_from": "",
    "monitoring_email_smarthost": "",
    "monitoring_receiver_secret_file": "",
    "monitoring_scrape": "local",
    "monitoring_allowed_cidrs": [],
    "monitoring_retention_days": 15,
    "monitoring_retention_mib": 2048,
}
WEBHOOK = {"monitoring_webhook_url": "https://hooks.example.com/a?b=c"}
MAIL = {
    "monitoring_email_to": "oncall@example.com",
    "monitoring_email_from": "node@example.com",
    "monitoring_email_smarthost": "smtp.example.com:587",
}
SECRET = {"monitoring_receiver_secret_file": "/dev/shm/x"}  # noqa: S108 - only named


def render(template: str, **changes: Any) -> str:
    """Render a template with the few filters of Ansible's that these use."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    environment.filters["urlsplit"] = lambda url, part: getattr(urlsplit(url), part)
    environment.filters["split"] = str.split
    source = (rendering.ROLE / "templates" / f"{template}.j2").read_text()
    return environment.from_string(source).render({**rendering.defaults(), **BASE, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"monitoring_has_gpus": False, "monitoring_gateway_metrics": "127.0.0.1:2019"},
        {"monitoring_has_receiver": True},
        {"monitoring_alertmanager_url": "https://192.0.2.7:9093/alerts"},
    ],
)
def test_promtool_takes_the_configuration(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(render("prometheus.yml", **changes))
    ended = programs.promtool("check", "config", path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("changes", [WEBHOOK, WEBHOOK | SECRET, MAIL, MAIL | SECRET, WEBHOOK | MAIL | SECRET])
def test_amtool_takes_the_receivers(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(render("alertmanager.yml", **changes))
    command = [str(programs.directory() / "amtool"), "check-config", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_alerts_go_to_the_named_alertmanager_below_its_path() -> None:
    told = yaml.safe_load(render("prometheus.yml", monitoring_alertmanager_url="https://192.0.2.7:9093/alerts"))
    (manager,) = told["alerting"]["alertmanagers"]
    assert (manager["scheme"], manager["path_prefix"]) == ("https", "/alerts")
    assert manager["static_configs"] == [{"targets": ["192.0.2.7:9093"]}]


@pytest.mark.parametrize(
    ("changes", "address", "allowed", "denied"),
    [
        ({}, "127.0.0.1:9090", ["localhost"], True),
        ({"monitoring_engine_address": "10.0.0.5:8000"}, "127.0.0.1:9090", ["localhost", "10.0.0.5"], True),
        ({"monitoring_alertmanager_url": "https://alerts.example.com"}, "127.0.0.1:9090", ["localhost"], False),
        (
            {"monitoring_scrape": "external", "monitoring_allowed_cidrs": ["192.0.2.0/24"]},
            "0.0.0.0:9090",
            ["localhost", "192.0.2.0/24"],
            True,
        ),
        (
            {
                "monitoring_scrape": "external",
                "monitoring_allowed_cidrs": ["192.0.2.0/24"],
                "monitoring_alertmanager_url": "http://192.0.2.7:9093",
            },
            "0.0.0.0:9090",
            ["localhost", "192.0.2.0/24"],
            True,
        ),
    ],
)
def test_what_listens_on_every_address_takes_packets_of_the_allowed_alone(
    changes: dict[str, Any], address: str, allowed: list[str], denied: bool
) -> None:
    unit = render("prometheus.conf", **changes)
    assert f"--web.listen-address={address}" in unit
    assert [line.split("=")[1] for line in unit.splitlines() if line.startswith("IPAddressAllow=")] == allowed
    assert ("IPAddressDeny=any" in unit) is denied
