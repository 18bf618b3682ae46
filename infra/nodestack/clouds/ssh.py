"""A machine the user has already: looked for, never made, never deleted; it is told apart by its SSH host key."""

import base64
import hashlib
import socket

from nodestack.clouds.base import (
    Balance,
    Node,
    NodeRequest,
    NodeStatus,
    Offer,
    OfferQuery,
    Progress,
    SshAccount,
    Volume,
    VolumeRequest,
)
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse

_TIMEOUT_S = 10.0
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


class SshCloud:
    """One machine as if it were a cloud account; see `Cloud` for what each method promises.

    Its node and its volume are there before they are asked for, under whatever name is asked for, and stay when they
    are deleted: this object forgets them, and the machine keeps running with all it holds. Every question is answered
    by one key exchange without logging in, since an account holds no private key.

    The identity is the fingerprint of the host key: a reboot or another address keeps it, another machine or a new
    installation does not. Machines cloned from one image with its host keys cannot be told apart.
    """

    poll_s = 0.5
    unique_names = True

    def __init__(self, account: SshAccount) -> None:
        self._account = account
        self._forgotten: set[str] = set()

    @property
    def node_id(self) -> str:
        """What the pinned host key makes of the machine's id."""
        return f"ssh-{hashlib.sha256(self._pinned()).hexdigest()[:32]}"

    def preflight(self) -> None:
        """Raise a CloudError unless the machine answers with the pinned host key."""
        try:
            self._ask()
        except AmbiguousError as error:
            raise CloudError(str(error)) from error

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Return nothing: nothing is for sale."""
        return ()

    def balance(self) -> Balance | None:
        """Return None: nothing is prepaid."""
        return None

    def find_node(self, name: str) -> Node | None:
        """Return the machine under this name, unless it was given up before.

        Raises:
            AmbiguousError: It does not answer, or with another host key.
        """
        if self.node_id in self._forgotten:
            return None
        self._ask()
        return self._node(name)

    def list_nodes(self) -> tuple[Node, ...]:
        """Return nothing: a machine of the user's can neither be leaked nor swept."""
        return ()

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        """Take up the machine again; nothing is made."""
        if request.volume_id != self._account.device:
            raise CloudError(
                f"volume {request.volume_id} was asked for, {self._where} has {self._account.device} for the weights: "
                "name that device in the account"
            )
        self.preflight()
        progress(f"taking {self._where} as it is")
        self._forgotten.discard(self.node_id)
        return self._node(request.name)

    def read_node(self, node_id: str) -> Node | None:
        """Return the machine, None when it was given up or the account names another one by now.

        Raises:
            AmbiguousError: It does not answer, or with another host key; a machine that is off is not gone.
        """
        if node_id != self.node_id or node_id in self._forgotten:
            return None
        self._ask()
        return self._node(self._account.host)

    def delete_node(self, node_id: str) -> None:
        """Give the machine up; it is not touched."""
        self._forgotten.add(node_id)

    def find_volume(self, name: str) -> Volume | None:
        """Return the device under this name, unless it was given up before."""
        return None if self._account.device in self._forgotten else self._volume(name)

    def list_volumes(self) -> tuple[Volume, ...]:
        """Return nothing: a device of the user's can neither be leaked nor swept."""
        return ()

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Take up the device again; nothing is made."""
        self._require(request.size_gib)
        self._forgotten.discard(self._account.device)
        return self._volume(request.name)

    def read_volume(self, volume_id: str) -> Volume | None:
        """Return the device, None when it was given up or the account names another one by now."""
        gone = volume_id != self._account.device or volume_id in self._forgotten
        return None if gone else self._volume(volume_id)

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Refuse: a device has the size it has.

        Raises:
            VolumeInUse: It is smaller.
        """
        self._require(size_gib)
        return self._volume(volume_id)

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        """Do nothing: the device is where it is."""

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        """Do nothing: the device stays where it is."""

    def delete_volume(self, volume_id: str) -> None:
        """Give the device up; what is on it stays."""
        self._forgotten.add(volume_id)

    @property
    def _where(self) -> str:
        return f"{self._account.host}:{self._account.port}"

    def _require(self, size_gib: int) -> None:
        if size_gib > self._account.size_gib:
            raise VolumeInUse(
                f"{size_gib} GiB were asked for, {self._account.device} on {self._where} is said to have "
                f"{self._account.size_gib} GiB: name a larger device, or a smaller size"
            )

    def _node(self, name: str) -> Node:
        return Node(
            node_id=self.node_id,
            identity=self.node_id,
            name=name,
            shape="",
            status=NodeStatus.RUNNING,
            address=self._account.host,
            ssh_port=self._account.port,
            ssh_user=self._account.user,
            volume_id=self._account.device,
            volume_device=self._account.device,
        )

    def _volume(self, name: str) -> Volume:
        return Volume(volume_id=self._account.device, name=name, size_gib=self._account.size_gib)

    def _pinned(self) -> bytes:
        try:
            return base64.b64decode(self._account.host_public_key.split()[1], validate=True)
        except (IndexError, ValueError):
            raise CloudError(
                f"the host key of {self._where} is not an OpenSSH line such as `ssh-ed25519 AAAA…`: "
                "read it on the machine with `cat /etc/ssh/ssh_host_ed25519_key.pub`"
            ) from None

    def _ask(self) -> None:
        """Raise AmbiguousError unless the machine proves that it has the pinned host key."""
        # Imported when needed: it costs more than the whole start of the plugin.
        import paramiko  # noqa: PLC0415

        pinned = self._pinned()
        try:
            with socket.create_connection((self._account.host, self._account.port), timeout=_TIMEOUT_S) as connection:
                transport = paramiko.Transport(connection)
                transport.banner_timeout = transport.auth_timeout = _TIMEOUT_S
                try:
                    # Only the key of this kind is asked for: a machine has one of each.
                    kind = self._account.host_public_key.split()[0]
                    transport.get_security_options().key_types = _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
                    transport.start_client(timeout=_TIMEOUT_S)
                    seen = transport.get_remote_server_key().asbytes()
                finally:
                    transport.close()
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
            raise AmbiguousError(
                f"{self._where} does not answer over SSH ({error or type(error).__name__}): start it, or correct host, "
                "port and the kind of its host key in the account"
            ) from error
        if seen != pinned:
            raise AmbiguousError(
                f"{self._where} answers with another host key than the account names: it is another machine, or "
                "somebody sits in between. Nothing was sent to it; correct the key in the account once you know which"
            )
