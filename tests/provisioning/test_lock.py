"""A node that goes away in mid-play and does not come back ends the play, even one that waits for it for ever."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from nodestack.errors import ReachError
from nodestack.provisioning import lock
from nodestack.provisioning.reach import Connection


class Channel:
    """Says that the lock is held, and then that the connection ended."""

    def __init__(self) -> None:
        self.said = [b'{"held": true, "applied": null, "stopped": []}\n', b""]

    def sendall(self, data: bytes) -> None:
        return

    def settimeout(self, seconds: float) -> None:
        return

    def recv(self, size: int) -> bytes:
        return self.said.pop(0)

    def close(self) -> None:
        return


class Once:
    """A node that answers one session, and none after it."""

    def __init__(self) -> None:
        self.sessions = 0

    @contextmanager
    def __call__(self, connection: Connection) -> Iterator["Once"]:
        self.sessions += 1
        if self.sessions > 1:
            raise ReachError("it does not answer")
        yield self

    def start(self, command: str) -> Channel:
        return Channel()


def test_a_node_that_stays_away_ends_the_play(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Once()
    connection = Connection(
        address="127.77.0.9", port=2222, user="ubuntu", host_public_key="key", private_key=SecretStr("key")
    )
    monkeypatch.setattr(lock, "session", node)
    monkeypatch.setattr(lock, "_RECONNECT_S", 0.05)
    monkeypatch.setattr(lock, "AWAY_LIMIT_S", 1.0)
    with lock.NodeLock(connection, "run", lambda line: None) as held:
        held.take(threading.Event())
        held.check()
        held._ended.wait(10)
        with pytest.raises(ReachError, match="it does not answer"):
            held.check()
    assert node.sessions > 2, "a reboot is waited for"
