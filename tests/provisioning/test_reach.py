import socket
import threading
import time

import pytest
from pydantic import SecretStr, ValidationError

from nodestack.errors import Interrupted, ReachError
from nodestack.provisioning import keys, reach
from nodestack.provisioning.reach import Connection
from tests.provisioning.conftest import LiveNode

CLIENT = keys.generate()


def nowhere(port: int) -> Connection:
    return Connection(
        address="127.0.0.1",
        port=port,
        user="ubuntu",
        host_public_key=keys.host_key(CLIENT, "n")[1],
        private_key=SecretStr(CLIENT),
    )


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_node_that_does_not_answer_is_told_with_what_to_do(closed_port: int) -> None:
    with pytest.raises(
        ReachError, match=rf"\[127.0.0.1\]:{closed_port} does not answer .*: check that the machine runs"
    ):
        reach.read_status(nowhere(closed_port), 2)


def test_waiting_tells_that_it_waits_and_gives_up_in_time(closed_port: int) -> None:
    heard: list[str] = []
    with pytest.raises(ReachError, match="was not ready for SSH within 1 s"):
        reach.wait_for_node(nowhere(closed_port), timeout_s=1, progress=heard.append, cancelled=threading.Event())
    assert heard[0].startswith("waiting for SSH on [127.0.0.1]")


def test_waiting_ends_as_soon_as_it_is_cancelled(closed_port: int) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        reach.wait_for_node(nowhere(closed_port), timeout_s=60, progress=lambda line: None, cancelled=cancelled)
    assert time.monotonic() - begun < 2


def test_a_port_that_is_silent_is_no_node(closed_port: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", closed_port))
        listener.listen()
        with pytest.raises(ReachError):
            reach.run(nowhere(closed_port), "true", 1)


def test_a_connection_shows_no_key() -> None:
    assert "PRIVATE" not in repr(nowhere(22))
    assert "PRIVATE" not in nowhere(22).model_dump_json()


@pytest.mark.parametrize("wrong", [{"port": 0}, {"user": ""}, {"address": ""}, {"password": "x"}])
def test_a_connection_that_cannot_be_one_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Connection.model_validate({**nowhere(22).model_dump(), **wrong})


@pytest.mark.node
def test_a_blank_node_has_no_status(live_node: LiveNode) -> None:
    assert reach.read_status(live_node.connection, 10) is None


@pytest.mark.node
def test_a_command_that_fails_or_hangs_is_told_apart(live_node: LiveNode) -> None:
    assert live_node.run("echo well") == "well"
    with pytest.raises(ReachError, match="ended with 3: log in as ubuntu and run it by hand: exit 3"):
        live_node.run("exit 3")
    with pytest.raises(ReachError, match="did not end within 1 s"):
        reach.run(live_node.connection, "sleep 20", 1)


@pytest.mark.node
def test_a_status_of_another_version_counts_as_none(live_node: LiveNode) -> None:
    live_node.run(
        "sudo mkdir -p /usr/local/lib/nodestack && "
        "printf '#!/bin/sh\\necho {\\\"future\\\": 1}\\n' | sudo tee /usr/local/lib/nodestack/status && "
        "sudo chmod 755 /usr/local/lib/nodestack/status"
    )
    assert reach.read_status(live_node.connection, 10) is None
