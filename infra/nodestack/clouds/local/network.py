"""A node's own network: a namespace, a way out of it, and forwards to it from an address on this host's loopback."""

import json
import socket
import time

from nodestack.clouds.accounts import LOCAL_SERVICE_PORT
from nodestack.errors import CloudError, HostUnsuitable

NETNS = "run/netns"
# Relative to the node's directory: a socket's name has at most 107 bytes, a directory's may be longer.
API_SOCKET = "run/slirp4netns.sock"
SERVICE_PORT = LOCAL_SERVICE_PORT

_ADDRESSES = tuple(f"127.77.0.{last}" for last in range(1, 255))
# A host whose own sshd listens on every address takes port 22 of ours with it.
_SSH_PORTS = (22, 2222, 22022)
_NODE_ADDRESS = "10.0.2.100"
_API_PATIENCE_S = 10.0


class Address:
    """An address of the loopback that no other node of this machine has, for as long as this process lives."""

    def __init__(self, ip: str, ssh_port: int, claim: socket.socket) -> None:
        self.ip = ip
        self.ssh_port = ssh_port
        self._claim = claim

    def release(self) -> None:
        """Leave the address to others."""
        self._claim.close()


def claim_address() -> Address:
    """Claim the first free address.

    The claim is a name in the kernel's abstract socket namespace: it ends with its process, has the extent of the
    loopback it speaks of, and leaves no file behind.

    Raises:
        HostUnsuitable: Every address is taken, or another program listens on the gateway's port on all of them.
    """
    for ip in _ADDRESSES:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0nodestack/{ip}")
        except OSError:
            claim.close()
            continue
        ssh_port = next((port for port in _SSH_PORTS if _is_free(ip, port)), None)
        if ssh_port is not None and _is_free(ip, SERVICE_PORT):
            return Address(ip, ssh_port, claim)
        claim.close()
    raise HostUnsuitable(
        f"no address from {_ADDRESSES[0]} to {_ADDRESSES[-1]} has its ports {_SSH_PORTS[0]} and {SERVICE_PORT} free: "
        f"delete nodes, or stop what listens on port {SERVICE_PORT} of all addresses (ss -ltnp)"
    )


def slirp_command() -> list[str]:
    """Return the command of the way out; from inside, nothing on this host's loopback can be reached through it."""
    return [
        "slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback",
        "--api-socket", API_SOCKET, "--netns-type=path", NETNS, "tap0",
    ]  # fmt: skip


def forward(address: Address) -> None:
    """Forward the address's ports for SSH and the gateway into the node; called from the node's directory.

    Raises:
        CloudError: slirp4netns did not come up or refused.
    """
    for host_port, guest_port in ((address.ssh_port, 22), (SERVICE_PORT, SERVICE_PORT)):
        answer = _ask(
            API_SOCKET,
            {
                "execute": "add_hostfwd",
                "arguments": {
                    "proto": "tcp",
                    "host_addr": address.ip,
                    "host_port": host_port,
                    "guest_addr": _NODE_ADDRESS,
                    "guest_port": guest_port,
                },
            },
        )
        if "error" in answer:
            raise CloudError(f"forwarding {address.ip}:{host_port} to the node: slirp4netns refused: {answer}")


def answers_ssh(address: str, port: int, timeout_s: float = 2.0) -> bool:
    """Return whether an SSH server answers; the forward itself takes connections from the start, so its word counts."""
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _is_free(ip: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((ip, port))
            attempt.listen(1)
        except OSError:
            return False
    return True


def _ask(path: str, request: dict[str, object]) -> str:
    deadline = time.monotonic() + _API_PATIENCE_S
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as api:
                api.settimeout(_API_PATIENCE_S)
                api.connect(path)
                api.sendall(json.dumps(request).encode())
                api.shutdown(socket.SHUT_WR)
                return api.recv(4096).decode()
        except (FileNotFoundError, ConnectionRefusedError) as not_yet:
            if time.monotonic() > deadline:
                raise CloudError(f"slirp4netns did not answer within {_API_PATIENCE_S:g} s") from not_yet
            time.sleep(0.02)
