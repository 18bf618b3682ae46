"""Settings of the gateway: what is left out is right, and what cannot work is refused by name."""

from typing import Any

import pytest

from nodestack.errors import SettingsError
from nodestack.settings import Settings, parse
from tests.stacks import config

KEY = "sk-another-key-0123456789"


def settings(gateway: dict[str, Any] | None = None, **more: str) -> Settings:
    values = config(gateway=gateway or {})
    return parse(values | {f"nodestack:{name}": text for name, text in more.items()})


def refusal(gateway: dict[str, Any] | None = None, **more: str) -> str:
    with pytest.raises(SettingsError) as refused:
        settings(gateway, **more)
    return str(refused.value)


def test_nodes_of_this_machine_are_reached_at_the_one_port_that_is_forwarded() -> None:
    assert settings().gateway_port == 8443
    assert settings({"port": 8443}).gateway_port == 8443
    assert "gateway.port is 443, nodes of this machine are reached at 8443 only" in refusal({"port": 443})


def test_other_nodes_are_reached_at_the_port_of_https_unless_the_stack_says_another() -> None:
    spheron = '{"kind": "spheron"}'
    assert settings(cloud=spheron).gateway_port == 443
    assert settings({"port": 9443}, cloud=spheron).gateway_port == 9443


def test_the_ports_of_a_machine_that_was_there_before_are_closed_only_when_asked_for() -> None:
    ssh = (
        '{"kind": "ssh", "host": "gpu-1.example.com", "host_public_key": "ssh-ed25519 AAAA", "device": "/dev/vdb", '
        '"size_gib": 600}'
    )
    assert settings().has_firewall and settings(cloud='{"kind": "spheron"}').has_firewall
    assert not settings(cloud=ssh).has_firewall
    assert settings({"firewall": True}, cloud=ssh).has_firewall
    assert not settings({"firewall": False}).has_firewall


def test_keys_come_by_name_and_the_first_is_called_default() -> None:
    held = settings(api_keys=f'{{"alice": "{KEY}"}}')
    assert held.keys == {"default": "sk-for-tests-0123456789", "alice": KEY}
    assert KEY not in repr(held)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"default": "sk-another-key-0123456789"}', "api_keys.default cannot be had"),
        ('{"nodestack": "sk-another-key-0123456789"}', "api_keys.nodestack cannot be had"),
        ('{"alice": "SK-for-tests-0123456789"}', "api_keys.alice is the same as api_key"),
        ('{"alice": "short"}', "api_keys.alice"),
        ('{"alice": "sk-another-key-0123456789\\";}"}', "api_keys.alice"),
        ('{"Al ice": "sk-another-key-0123456789"}', "api_keys.Al ice"),
    ],
)
def test_keys_that_cannot_be_told_apart_or_written_down_are_refused_without_being_told(text: str, said: str) -> None:
    told = refusal(api_keys=text)
    assert said in told
    assert "0123456789" not in told


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"allowed_cidrs": ["203.0.113.7/24"]}, "has host bits set"),
        ({"allowed_cidrs": ["here"]}, "say it like 203.0.113.0/24"),
        ({"ssh_allowed_cidrs": []}, "gateway.ssh_allowed_cidrs"),
        ({"hostname": "127.0.0.1"}, "no DNS name"),
        ({"hostname": "a;b.example.com"}, "no DNS name"),
        ({"names": ["not a name"]}, "no DNS name"),
        ({"acme_email": "ops@example.com"}, "gateway.acme_email is set without gateway.hostname"),
        ({"acme_directory": "http://acme.example.com"}, "gateway.acme_directory"),
        ({"max_body_mib": 0}, "gateway.max_body_mib"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(gateway: dict[str, Any], said: str) -> None:
    assert said in refusal(gateway)


def test_an_address_for_the_engine_is_refused_with_what_replaced_it() -> None:
    with pytest.raises(SettingsError) as refused:
        parse(config(serving={"listen_address": "192.0.2.1"}))
    told = str(refused.value)
    assert "nodestack:serving.listen_address is '192.0.2.1', and no setting any more" in told
    assert "gateway.allowed_cidrs" in told


def test_the_whole_internet_is_told_from_some_networks() -> None:
    assert settings().gateway.is_open
    assert settings({"allowed_cidrs": ["0.0.0.0/0"]}).gateway.is_open
    assert not settings({"allowed_cidrs": ["203.0.113.0/24"]}).gateway.is_open
