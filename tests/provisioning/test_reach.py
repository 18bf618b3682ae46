import io
import socket
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED
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


class FirstBoot(paramiko.ServerInterface):
    """A machine that answers with a key of its own until its host key is put in place; without cloud-init."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.host_key = keys.generate()
        self.logins = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key(io.StringIO(self.host_key)))
            try:
                transport.start_server(event=threading.Event(), server=self)
            except paramiko.SSHException:
                client.close()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.logins += 1
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=(channel,), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel) -> None:
        channel.sendall(b"{}\n")
        channel.send_exit_status(0)
        channel.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def first_boot() -> Iterator[FirstBoot]:
    machine = FirstBoot()
    yield machine
    machine.close()


def test_another_host_key_is_waited_out_for_as_long_as_the_cloud_needs_and_gets_no_login(first_boot: FirstBoot) -> None:
    heard: list[str] = []

    def put_in_place(line: str) -> None:
        heard.append(line)
        if len(heard) == 3:
            assert first_boot.logins == 0
            first_boot.host_key = keys.host_key(CLIENT, "n")[0]

    reach.wait_for_node(
        nowhere(first_boot.port),
        timeout_s=30,
        progress=put_in_place,
        cancelled=threading.Event(),
        wrong_key_grace_s=20,
    )
    assert heard[-1] == "waiting for cloud-init"
    assert first_boot.logins > 0


def test_another_host_key_is_refused_once_its_grace_is_over(first_boot: FirstBoot) -> None:
    begun = time.monotonic()
    with pytest.raises(
        ReachError, match=r"answers with host key .* it is another machine, or somebody sits in between"
    ):
        reach.wait_for_node(
            nowhere(first_boot.port),
            timeout_s=60,
            progress=lambda line: None,
            cancelled=threading.Event(),
            wrong_key_grace_s=1,
        )
    assert 1 <= time.monotonic() - begun < 10
    assert first_boot.logins == 0


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
