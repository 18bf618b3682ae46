"""Reaching a node over SSH with a pinned host key: wait until it is ready, run a command, read its status."""

import base64
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import paramiko
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from nodestack.errors import Interrupted, ReachError, WrongHostKey, parts_of
from nodestack.provisioning.report import NodeStatusReport

Progress = Callable[[str], None]
"""Takes one short line about what is going on; shown live, never stored."""

STATUS_SCRIPT = "/usr/local/lib/nodestack/status"
WRONG_KEY_GRACE_S = 20.0
"""How long a first boot may answer with a host key of its own before ours is in place."""

# A node that does not answer yet is no news, and every caller gets an exception: without a handler paramiko's
# tracebacks would end up on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_CONNECT_TIMEOUT_S = 5.0
_POLL_S = 0.5
_SSH_PORT = 22
_READ_STATUS = f"[ ! -x {STATUS_SCRIPT} ] || exec sudo -n {STATUS_SCRIPT}"
_READ_CLOUD_INIT = (
    "if command -v cloud-init >/dev/null; then cat /run/cloud-init/result.json 2>/dev/null || true; else echo '{}'; fi"
)


class Connection(BaseModel):
    """How a node is reached.

    Attributes:
        address: IP address or host name.
        port: TCP port of SSH.
        user: Login name; may sudo without a password.
        host_public_key: OpenSSH line of the one host key that is accepted.
        private_key: The client's ed25519 key as OpenSSH PEM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65536)] = _SSH_PORT
    user: Annotated[str, Field(min_length=1)]
    host_public_key: str
    private_key: SecretStr

    @property
    def known_host(self) -> str:
        """The name under which known_hosts files list this host."""
        return self.address if self.port == _SSH_PORT else f"[{self.address}]:{self.port}"


class UnknownStatus(ReachError):
    """The node answers, but not with a status that this version understands."""


class Session:
    """An open SSH connection; runs commands one after another or side by side."""

    def __init__(self, connection: Connection, client: paramiko.SSHClient) -> None:
        self._connection = connection
        self._client = client

    def start(self, command: str) -> paramiko.Channel:
        """Start a command and return its channel; the caller closes it.

        Raises:
            ReachError: The connection is gone.
        """
        transport = self._client.get_transport()
        if transport is None:
            raise _unreachable(self._connection, "the connection is closed")
        try:
            channel = transport.open_session(timeout=_CONNECT_TIMEOUT_S)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _unreachable(self._connection, str(error) or type(error).__name__) from error
        return channel

    def run(self, command: str, timeout_s: float) -> str:
        """Run a command to its end and return what it printed to stdout.

        Raises:
            ReachError: The connection broke, the time ran out, or the command failed.
        """
        deadline = time.monotonic() + timeout_s
        channel = self.start(command)
        try:
            output = b""
            while chunk := _receive(channel, deadline):
                output += chunk
            if not channel.status_event.wait(max(0.01, deadline - time.monotonic())):
                raise TimeoutError
            status = channel.recv_exit_status()
        except (TimeoutError, paramiko.SSHException, OSError) as error:
            raise _unreachable(self._connection, f"a command did not end within {timeout_s:g} s") from error
        finally:
            channel.close()
        if status != 0:
            raise ReachError(
                f"a command on {self._connection.known_host} ended with {status}: log in as "
                f"{self._connection.user} and run it by hand: {command}"
            )
        return output.decode(errors="replace")


@contextmanager
def session(connection: Connection, timeout_s: float = _CONNECT_TIMEOUT_S) -> Iterator[Session]:
    """Connect, accepting the pinned host key and no other, and close at the end.

    Raises:
        ReachError: The node does not answer, or not with the pinned key.
    """
    client = _connect(connection, timeout_s)
    try:
        yield Session(connection, client)
    finally:
        client.close()


def run(connection: Connection, command: str, timeout_s: float) -> str:
    """Run one shell command on the node and return what it printed to stdout.

    Raises:
        ReachError: The node does not answer, or the command failed or took longer than `timeout_s`.
    """
    with session(connection, min(timeout_s, _CONNECT_TIMEOUT_S)) as opened:
        return opened.run(command, timeout_s)


def read_status(connection: Connection, timeout_s: float) -> NodeStatusReport | None:
    """Ask the node about itself; changes nothing.

    Returns:
        None when the node has no status script yet, or one whose words this version does not know: either way it is
        not configured as this version would.

    Raises:
        ReachError: The node does not answer.
    """
    with session(connection, min(timeout_s, _CONNECT_TIMEOUT_S)) as opened:
        return status_of(opened, timeout_s)


def status_of(opened: Session, timeout_s: float) -> NodeStatusReport | None:
    """As `read_status`, over a session that is open already."""
    try:
        return required_status(opened, timeout_s)
    except UnknownStatus:
        return None


def required_status(opened: Session, timeout_s: float) -> NodeStatusReport:
    """As `status_of`, for a node that was configured by this version and must have one.

    Raises:
        UnknownStatus: It has none, or one with words that this version does not know; the message names them.
        ReachError: The node does not answer.
    """
    text = opened.run(_READ_STATUS, timeout_s)
    if not text.strip():
        raise UnknownStatus(f"{STATUS_SCRIPT} is missing on the node")
    try:
        return NodeStatusReport.model_validate_json(text)
    except ValidationError as error:
        words = "; ".join(parts_of(error))
        raise UnknownStatus(f"{STATUS_SCRIPT} prints what this version does not know ({words})") from error


def wait_for_node(
    connection: Connection,
    *,
    timeout_s: float,
    progress: Progress,
    cancelled: threading.Event,
    wrong_key_grace_s: float = WRONG_KEY_GRACE_S,
) -> None:
    """Wait until the node takes SSH with the pinned key and its cloud-init is done.

    Args:
        connection: How it is reached.
        timeout_s: Seconds until it must be ready.
        progress: Hears what is waited for.
        cancelled: Ends the wait when set.
        wrong_key_grace_s: Seconds for which another host key is not refused yet. Nothing is sent to it, least of all a
            login; a cloud that puts the key in place by a script at the end of the first boot needs minutes.

    Raises:
        WrongHostKey: It still shows another host key after its grace.
        ReachError: It is not ready within `timeout_s`, or cloud-init reports errors.
        Interrupted: `cancelled` was set.
    """
    begun = time.monotonic()
    wrong_key_since: float | None = None
    problem, shown = "no answer yet", ""
    while time.monotonic() - begun < timeout_s:
        try:
            with session(connection) as opened:
                progress("waiting for cloud-init")
                _wait_for_cloud_init(opened, connection, begun + timeout_s, cancelled)
                return
        except WrongHostKey:
            # A first boot may start sshd with keys of its own for a moment before cloud-init puts ours in place.
            wrong_key_since = wrong_key_since or time.monotonic()
            if time.monotonic() - wrong_key_since > wrong_key_grace_s:
                raise
            problem, shown = "another host key", ", it shows a host key that is not this stack's"
        except _CloudInitFailed:
            raise
        except ReachError as error:
            problem, shown = str(error), ""
        progress(f"waiting for SSH on {connection.known_host}, {time.monotonic() - begun:.0f} s{shown}")
        _pause(cancelled)
    raise ReachError(
        f"{connection.known_host} was not ready for SSH within {timeout_s:g} s, last seen: {problem}. "
        "Look at the machine's console, then run again: the wait continues"
    )


class _CloudInitFailed(ReachError):
    """The first boot did not end well, and will not by waiting."""


def _connect(connection: Connection, timeout_s: float) -> paramiko.SSHClient:
    kind, encoded = connection.host_public_key.split()[:2]
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(connection.private_key.get_secret_value()))
    client = paramiko.SSHClient()
    client.get_host_keys().add(connection.known_host, kind, pinned)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.connect(
            connection.address,
            connection.port,
            connection.user,
            pkey=key,
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            allow_agent=False,
            look_for_keys=False,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise WrongHostKey(
            f"{connection.known_host} answers with host key {error.key.fingerprint}, expected "
            f"{pinned.fingerprint}: it is another machine, or somebody sits in between. Nothing was sent to it"
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        client.close()
        raise _unreachable(connection, str(error) or type(error).__name__) from error
    return client


def _wait_for_cloud_init(opened: Session, connection: Connection, deadline: float, cancelled: threading.Event) -> None:
    while time.monotonic() < deadline:
        text = opened.run(_READ_CLOUD_INIT, _CONNECT_TIMEOUT_S).strip()
        if text:
            errors = json.loads(text).get("v1", {}).get("errors", [])
            if errors:
                raise _CloudInitFailed(
                    f"cloud-init on {connection.known_host} reported {len(errors)} errors: read "
                    "`cloud-init status --long` there, then delete the node and run again"
                )
            return
        _pause(cancelled)
    raise ReachError(f"cloud-init on {connection.known_host} did not end")


def _receive(channel: paramiko.Channel, deadline: float) -> bytes:
    channel.settimeout(max(0.01, deadline - time.monotonic()))
    return channel.recv(65536)


def _pause(cancelled: threading.Event) -> None:
    if cancelled.wait(_POLL_S):
        raise Interrupted("stopped while waiting for the node; it is kept, run again to continue")


def _unreachable(connection: Connection, why: str) -> ReachError:
    return ReachError(
        f"{connection.known_host} does not answer over SSH as {connection.user} ({why}): "
        "check that the machine runs and that the address is reachable from here"
    )
