"""Holding a node for as long as a playbook runs, and hearing from its long tasks meanwhile."""

import json
import os
import shlex
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko

from nodestack.errors import Interrupted, NodestackError, ProvisioningError, ReachError
from nodestack.provisioning.events import progress_line
from nodestack.provisioning.reach import Connection, Progress, Session, session

LOCK_WAIT_S = 180.0
"""How long another run is waited for: longer than a package installation that a killed run left over may take."""

AWAY_LIMIT_S = 1200.0
"""How long a node may be away in mid-play: a reboot of one with eight GPUs takes minutes."""

_SCRIPT = Path(__file__).with_name("hold.py").read_bytes()
_HEARTBEAT_S = 5.0
_POLL_S = 0.1
_RECONNECT_S = 1.0
_RELEASE_TIMEOUT_S = 5.0


class NodeLock:
    """The node's lock, held through an SSH channel by a script that ends with it.

    A node that reboots in mid-play drops the lock; it is taken again as soon as the node answers. One that stays away
    ends the play, whether Ansible notices or not.

    Attributes:
        applied: What the node said was applied, when the lock was taken.
    """

    def __init__(self, connection: Connection, run: str, progress: Progress, wait_s: float = LOCK_WAIT_S) -> None:
        holder = f"pid {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S %Z')}"
        arguments = shlex.join([run, holder, str(wait_s)])
        read = f"import sys; exec(sys.stdin.buffer.read({len(_SCRIPT)}))"
        self._command = f"exec sudo -n python3 -u -c {shlex.quote(read)} {arguments}"
        self._connection = connection
        self._progress = progress
        self._held = threading.Event()
        self._ended = threading.Event()
        self._release = threading.Event()
        self._problem: NodestackError | None = None
        self._thread = threading.Thread(target=self._hold, name="node-lock", daemon=True)
        self.applied: object = None

    def take(self, cancelled: threading.Event) -> None:
        """Wait until the node is ours; call once, before anything runs there.

        Raises:
            ReachError: The node does not answer.
            ProvisioningError: Another run holds the node, and went on holding it.
            Interrupted: `cancelled` was set.
        """
        self._thread.start()
        while not self._held.wait(_POLL_S):
            if cancelled.is_set():
                raise Interrupted("stopped while waiting for the node's lock; nothing was changed")
            if self._ended.is_set():
                raise self._problem or ReachError("the node's lock ended before it was taken: run again")

    def check(self) -> None:
        """Raise a ProvisioningError once another run holds the node, a ReachError once it is gone for too long."""
        if self._ended.is_set() and self._problem is not None:
            raise self._problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release.set()
        if self._thread.is_alive():
            self._thread.join(_RELEASE_TIMEOUT_S)

    def _hold(self) -> None:
        answered = time.monotonic()
        try:
            while not self._release.is_set():
                try:
                    with session(self._connection) as opened:
                        self._follow(opened)
                    answered = time.monotonic()
                except ReachError as error:
                    if not self._held.is_set() or time.monotonic() - answered > AWAY_LIMIT_S:
                        self._problem = error
                        return
                self._release.wait(_RECONNECT_S)
        except ProvisioningError as error:
            self._problem = error
        finally:
            self._ended.set()

    def _follow(self, opened: Session) -> None:
        channel = opened.start(self._command)
        try:
            channel.sendall(_SCRIPT)
            buffered, beaten = b"", time.monotonic()
            while not self._release.is_set():
                if time.monotonic() - beaten > _HEARTBEAT_S:
                    beaten = time.monotonic()
                    channel.sendall(b".")
                chunk = _receive(channel)
                if chunk == b"":
                    return
                *lines, buffered = (buffered + (chunk or b"")).split(b"\n")
                for line in lines:
                    self._understand(json.loads(line))
            channel.shutdown_write()
            channel.settimeout(_RELEASE_TIMEOUT_S)
            while channel.recv(4096):
                pass
        except (paramiko.SSHException, OSError):
            # The node went away: rebooting, perhaps. Whether it is gone for good is known when it does not come back.
            return
        finally:
            channel.close()

    def _understand(self, said: dict[str, Any]) -> None:
        if "busy" in said:
            raise ProvisioningError(
                f"another run is configuring {self._connection.known_host} ({said['busy']}): "
                "wait until it ends, or stop it, then run again"
            )
        if "waiting" in said:
            self._progress(f"waiting for another run to end ({said['waiting']})")
        elif "packages" in said:
            self._progress(f"waiting for what a former run left over: {', '.join(said['packages'])}")
        elif "held" in said:
            self.applied = said["applied"]
            self._held.set()
        elif "progress" in said and (line := progress_line(said["progress"])):
            self._progress(line)


def _receive(channel: paramiko.Channel) -> bytes | None:
    """Return what came, b"" at the end, None while there is nothing."""
    channel.settimeout(_POLL_S)
    try:
        return channel.recv(65536)
    except TimeoutError:
        return None
