"""A machine the user has already: told by its host key over real SSH on the loopback, never made, never deleted."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pydantic import SecretStr, ValidationError

from nodestack.clouds import open_account
from nodestack.clouds.base import Cloud, NodeRequest, NodeStatus, SshAccount, VolumeRequest
from nodestack.clouds.ssh import SshCloud
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.pace import Pace
from nodestack.provisioning import keys

CLIENT_KEY = keys.generate()
HOST_KEY, HOST_PUBLIC = keys.host_key(CLIENT_KEY, "machine")
OTHER_KEY, OTHER_PUBLIC = keys.host_key(CLIENT_KEY, "another")
AT_ONCE = Pace(timeout_s=2, poll_s=0.01)


class Machine:
    """An SSH server that proves its host key, lets nobody in, and counts who asked to log in."""

    def __init__(self, *host_keys: paramiko.PKey) -> None:
        self.logins = 0
        self._keys = host_keys
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopped = Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            for key in self._keys:
                transport.add_server_key(key)
            try:
                transport.start_server(server=_Nobody(self), event=None)
                transport.join(5)
            except (paramiko.SSHException, EOFError, OSError):
                continue
            finally:
                transport.close()


class _Nobody(paramiko.ServerInterface):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def get_allowed_auths(self, username: str) -> str:
        self._machine.logins += 1
        return "publickey"


def ed25519(pem: str) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(pem))


@contextmanager
def machine(*host_keys: paramiko.PKey) -> Iterator[Machine]:
    running = Machine(*host_keys)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine(ed25519(HOST_KEY)) as running:
        yield running


def account(port: int, **changes: object) -> SshAccount:
    known = {"host": "127.0.0.1", "port": port, "user": "admin", "host_public_key": HOST_PUBLIC}
    return SshAccount.model_validate(known | {"device": "/dev/vdb", "size_gib": 1000} | changes)


def request(**changes: object) -> NodeRequest:
    known = {"name": "demo-node", "shape": "8x-h100-sxm5", "volume_id": "/dev/vdb", "ssh_public_key": "ssh-ed25519 A"}
    return NodeRequest.model_validate(known | {"ssh_host_private_key": SecretStr("")} | changes)


def test_the_machine_is_found_under_the_name_that_is_asked_for_and_nobody_logs_in(here: Machine) -> None:
    node = SshCloud(account(here.port)).find_node("demo-node")
    assert node is not None
    assert (node.name, node.status) == ("demo-node", NodeStatus.RUNNING)
    assert (node.address, node.ssh_port, node.ssh_user) == ("127.0.0.1", here.port, "admin")
    assert (node.volume_id, node.volume_device) == ("/dev/vdb", "/dev/vdb")
    assert here.logins == 0


def test_open_account_gives_it_and_lists_nothing_that_could_be_swept(here: Machine) -> None:
    cloud: Cloud = open_account(account(here.port))
    assert (cloud.list_nodes(), cloud.list_volumes(), cloud.balance()) == ((), (), None)


def test_the_identity_stays_over_a_restart_and_another_address(here: Machine) -> None:
    before = SshCloud(account(here.port)).find_node("demo-node")
    with machine(ed25519(HOST_KEY)) as again:
        after = SshCloud(account(again.port, host="localhost")).find_node("demo-node")
    assert before is not None
    assert after is not None
    assert before.identity == after.identity


def test_another_machine_has_another_identity() -> None:
    with machine(ed25519(OTHER_KEY)) as other:
        node = SshCloud(account(other.port, host_public_key=OTHER_PUBLIC)).find_node("demo-node")
    assert node is not None
    assert node.identity != SshCloud(account(1)).node_id


def test_another_host_key_is_never_taken_for_gone(here: Machine) -> None:
    cloud = SshCloud(account(here.port, host_public_key=OTHER_PUBLIC))
    with pytest.raises(AmbiguousError, match="another host key"):
        cloud.read_node(cloud.node_id)
    with pytest.raises(CloudError, match="another host key"):
        cloud.preflight()


def test_a_machine_that_is_off_is_not_gone() -> None:
    with machine(ed25519(HOST_KEY)) as running:
        cloud = SshCloud(account(running.port))
    with pytest.raises(AmbiguousError, match="does not answer"):
        cloud.read_node(cloud.node_id)


def test_an_rsa_host_key_is_asked_for_although_there_is_an_ed25519_one() -> None:
    made = generate_private_key(public_exponent=65537, key_size=2048)
    rsa = paramiko.RSAKey(key=made)
    with machine(ed25519(HOST_KEY), rsa) as both:
        SshCloud(account(both.port, host_public_key=f"ssh-rsa {rsa.get_base64()}")).preflight()


def test_a_malformed_host_key_says_where_to_read_it() -> None:
    with pytest.raises(CloudError, match=r"cat /etc/ssh/ssh_host_ed25519_key.pub"):
        SshCloud(account(1, host_public_key="ssh-ed25519")).preflight()


def test_a_deleted_node_is_forgotten_and_taken_up_again_by_the_next_run(here: Machine) -> None:
    cloud = SshCloud(account(here.port))
    nodes.delete_until_gone(cloud, cloud.node_id, progress=lambda _: None, cancelled=Event(), pace=AT_ONCE)
    assert cloud.find_node("demo-node") is None
    assert SshCloud(account(here.port)).find_node("demo-node") is not None
    assert cloud.create_node(request(), lambda _: None).node_id == cloud.node_id
    assert cloud.read_node(cloud.node_id) is not None


def test_a_deleted_volume_is_forgotten_and_keeps_what_is_on_it(here: Machine) -> None:
    cloud = SshCloud(account(here.port))
    volumes.delete_until_gone(cloud, "/dev/vdb", progress=lambda _: None, cancelled=Event(), pace=AT_ONCE)
    assert cloud.find_volume("demo-weights") is None
    assert cloud.create_volume(VolumeRequest(name="demo-weights", size_gib=500)).size_gib == 1000


def test_a_volume_larger_than_the_device_is_refused(here: Machine) -> None:
    cloud = SshCloud(account(here.port))
    wanted = VolumeRequest(name="demo-weights", size_gib=1001)
    with pytest.raises(VolumeInUse, match=r"1001 GiB were asked for.*1000 GiB"):
        volumes.ensure(cloud, wanted, progress=lambda _: None, cancelled=Event())
    kept = volumes.ensure(
        cloud, wanted.model_copy(update={"size_gib": 1000}), progress=lambda _: None, cancelled=Event()
    )
    assert kept.volume_id == "/dev/vdb"


def test_a_node_with_another_device_is_refused(here: Machine) -> None:
    with pytest.raises(CloudError, match="/dev/vdc was asked for"):
        SshCloud(account(here.port)).create_node(request(volume_id="/dev/vdc"), lambda _: None)


def test_an_account_that_names_another_machine_by_now_has_no_such_node(here: Machine) -> None:
    assert SshCloud(account(here.port)).read_node("ssh-0") is None


def test_a_volume_must_be_a_device() -> None:
    with pytest.raises(ValidationError, match="pattern"):
        account(22, device="/srv/weights")


def test_the_lifecycle_takes_the_machine_gives_it_up_and_takes_it_again(here: Machine) -> None:
    cloud = SshCloud(account(here.port))
    said: list[str] = []

    def up() -> str:
        return nodes.ensure(
            cloud,
            request(),
            wait=lambda node, progress, cancelled: None,
            progress=said.append,
            cancelled=Event(),
            boot=AT_ONCE,
        ).identity

    first = up()
    assert up() == first
    assert said.count("found node demo-node, going on with it") == 2
    nodes.delete_by_name(cloud, "demo-node", progress=lambda _: None, cancelled=Event(), pace=AT_ONCE)
    assert cloud.find_node("demo-node") is None
    assert up() == first
    assert here.logins == 0
