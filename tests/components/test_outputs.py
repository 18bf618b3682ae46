"""Where clients are told to ask."""

import json
from typing import Any

import pytest

from nodestack.components.outputs import endpoint_url
from nodestack.settings import parse
from tests.stacks import config

SPHERON = json.dumps({"kind": "spheron"})


@pytest.mark.parametrize(
    ("gateway", "address", "url"),
    [
        ({}, "203.0.113.7", "https://203.0.113.7/v1"),
        ({"port": 9443}, "203.0.113.7", "https://203.0.113.7:9443/v1"),
        ({}, "2001:db8::7", "https://[2001:db8::7]/v1"),
        # The name may not lead anywhere yet, and the address is certified as well.
        ({"hostname": "llm.example.com"}, "203.0.113.7", "https://203.0.113.7/v1"),
        ({"hostname": "llm.example.com", "acme_email": "a@example.com"}, "203.0.113.7", "https://llm.example.com/v1"),
    ],
)
def test_the_endpoint_is_at_what_its_certificate_names(gateway: dict[str, Any], address: str, url: str) -> None:
    settings = parse(config(gateway=gateway) | {"nodestack:cloud": SPHERON})
    assert endpoint_url(settings, address) == url


def test_nodes_of_this_machine_are_asked_at_their_own_port() -> None:
    assert endpoint_url(parse(config()), "127.77.0.1") == "https://127.77.0.1:8443/v1"
