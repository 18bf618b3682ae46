"""Where drivers come from: keys of known repositories, and those of which nothing is known."""

import re

import pytest

from nodestack.catalog import load
from nodestack.errors import SettingsError
from nodestack.settings import parse
from tests.stacks import config

DRIVER = load().driver
OTHER = {
    "driver_repository": "https://mirror.example/cuda/ubuntu2404",
    "driver_repository_key_url": "https://mirror.example/key.asc",
}


@pytest.mark.parametrize("name", DRIVER.repositories)
def test_a_known_repository_is_of_its_release_and_its_key_is_known(name: str) -> None:
    known = DRIVER.repositories[name]
    distribution, release = name.split("-")
    assert f"/{distribution}{release.replace('.', '')}/" in known.uri
    assert known.key_url.startswith(f"{known.uri}/")
    assert DRIVER.key_fingerprint(known.key_url) == known.key_fingerprint


def test_every_release_that_nodes_run_on_has_one() -> None:
    assert set(DRIVER.repositories) == {"ubuntu-22.04", "ubuntu-24.04", "debian-12"}


def test_what_the_node_itself_serves_needs_no_pin_and_anything_else_has_none() -> None:
    assert DRIVER.key_fingerprint("http://127.0.0.1:8091/apt/key.asc") == ""
    assert DRIVER.key_fingerprint("https://mirror.example/key.asc") is None
    assert DRIVER.key_fingerprint("https://127.0.0.1.example/key.asc") is None


def test_an_unknown_key_without_a_pin_is_refused_before_anything_is_created() -> None:
    with pytest.raises(SettingsError, match=re.escape(OTHER["driver_repository_key_url"])) as refused:
        parse(config(node=OTHER), load())
    assert "nodestack:node.driver_repository_key_fingerprint is missing" in str(refused.value)


def test_an_unknown_key_with_a_pin_is_taken() -> None:
    settings = parse(config(node={**OTHER, "driver_repository_key_fingerprint": "ab" * 20}), load())
    assert settings.node.driver_repository_key_fingerprint == "ab" * 20


@pytest.mark.parametrize("pin", ["3bf863cc", "x" * 40, "AB " * 20])
def test_a_pin_is_a_whole_fingerprint(pin: str) -> None:
    with pytest.raises(SettingsError, match="driver_repository_key_fingerprint"):
        parse(config(node={**OTHER, "driver_repository_key_fingerprint": pin}), load())
