"""Machines of a simulated cloud that are words but for SSH: each shows the host key it was given."""

import base64
import io
import socket
import threading
from contextlib import suppress

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from nodestack.clouds.simulated.machines import MemoryMachines, Order, Place

_LOOK_S = 0.5
_BEFORE_REPLY_S = 0.02


class AnsweringMachines(MemoryMachines):
    """Every machine takes SSH on a port of this host's loopback for as long as it exists."""

    def __init__(self) -> None:
        super().__init__()
        self._doors: dict[str, Door] = {}

    def start(self, machine_id: str, order: Order) -> None:
        super().start(machine_id, order)
        host_key = next((text for text in order.files.values() if "OPENSSH PRIVATE KEY" in text), "")
        self._doors[machine_id] = self.open(host_key, order.ssh_public_key)

    def open(self, host_key: str, public_line: str) -> "Door":
        """Have a machine take SSH, on any port."""
        return Door(host_key, public_line)

    def place(self, machine_id: str) -> Place | None:
        door = self._doors.get(machine_id)
        return None if door is None else Place(address=door.address, port=door.port)

    def end(self, machine_id: str, *, at_once: bool = False) -> None:
        super().end(machine_id, at_once=at_once)
        door = self._doors.pop(machine_id, None)
        if door is not None:
            door.close()


class Door:
    """An SSH server: one host key, one key that may log in; every command prints `{}` and ends well."""

    def __init__(self, host_private_pem: str, public_line: str, at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._host_key = (
            paramiko.Ed25519Key.from_private_key(io.StringIO(host_private_pem))
            if host_private_pem
            else paramiko.ECDSAKey.generate()
        )
        self._allowed = public_line.split()[1]
        self._listener = socket.create_server(at)
        self.address: str = at[0]
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self._host_key)
        try:
            transport.start_server(server=_Porter(self._allowed))
            # Kept until the client is done: a channel that nobody refers to is closed.
            open_channels = []
            while transport.is_active():
                open_channels.append(transport.accept(_LOOK_S))
        except (paramiko.SSHException, EOFError, OSError):
            return
        finally:
            transport.close()


class _Porter(paramiko.ServerInterface):
    def __init__(self, allowed: str) -> None:
        self._allowed = allowed

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_owner = base64.b64encode(key.asbytes()).decode() == self._allowed
        return AUTH_SUCCESSFUL if is_owner else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        # The client must hear first that its command was taken.
        reply = threading.Timer(_BEFORE_REPLY_S, _reply, (channel,))
        reply.daemon = True
        reply.start()
        return True


def _reply(channel: paramiko.Channel) -> None:
    with suppress(OSError):
        channel.sendall(b"{}\n")
        channel.send_exit_status(0)
        channel.close()
