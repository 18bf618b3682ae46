"""Real nodes: what a cloud's machine does, a local one does as well."""

import http.server
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeStatus
from nodestack.clouds.local import image
from nodestack.clouds.local.network import SERVICE_PORT
from nodestack.errors import CloudError, VolumeInUse
from tests.clouds.local.conftest import Lab, make_key
from tests.clouds.local.remains import control_groups, network_namespaces, remains

pytestmark = pytest.mark.node

MOUNT_NEW = "sudo -n mkfs.ext4 -q /dev/vdb && sudo -n mount /dev/vdb /mnt"


@pytest.fixture(scope="module")
def node(lab: Lab) -> Node:
    return lab.running("shared")


def test_it_shows_the_host_key_given_beforehand_and_lets_the_user_become_root(lab: Lab, node: Node) -> None:
    assert lab.on(node, "sudo -n id -u") == "0"


def test_cloud_init_and_every_service_end_well(lab: Lab, node: Node) -> None:
    status = lab.on(node, "cloud-init status --wait --long && systemctl is-system-running --wait")
    assert "status: done" in status
    assert status.endswith("running")


def test_it_calls_itself_by_its_name(lab: Lab, node: Node) -> None:
    assert lab.on_booted(node, "hostname && sudo -n true") == "shared"


def test_it_resolves_names_and_reaches_the_mirror_of_its_host(lab: Lab, node: Node) -> None:
    assert "Reading package lists" in lab.on_booted(node, "sudo -n apt-get update --error-on=any")


def test_it_trusts_the_certificate_authorities_of_its_host(lab: Lab, node: Node) -> None:
    trusted = lab.on(node, "cat /etc/ssl/certs/ca-certificates.crt")
    for _, pem in image.host_recipe().certificates:
        assert pem.strip() in trusted


def test_it_may_set_up_its_own_firewall(lab: Lab, node: Node) -> None:
    lab.on(node, "sudo -n nft add table inet probe && sudo -n nft delete table inet probe")


def test_nothing_on_the_loopback_of_its_host_can_be_reached(lab: Lab, node: Node) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        for gateway in ("10.0.2.2", "10.0.2.3", "127.0.0.1"):
            answer = lab.on(node, f"timeout 5 bash -c '</dev/tcp/{gateway}/{port}' 2>/dev/null && echo yes || echo no")
            assert answer == "no", gateway
        server.shutdown()


def test_the_gateways_port_is_forwarded_under_its_own_number(lab: Lab, node: Node) -> None:
    lab.on(node, f"systemd-run --user --quiet python3 -m http.server {SERVICE_PORT}")
    lab.on(node, f"timeout 10 sh -c 'until curl -sfo /dev/null http://127.0.0.1:{SERVICE_PORT}; do sleep 0.1; done'")
    with socket.create_connection((node.address, SERVICE_PORT), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(8) == b"HTTP/1.0"


def test_it_finds_its_hub_on_its_own_loopback(lab: Lab, node: Node) -> None:
    lab.on(node, "timeout 60 bash -c 'until </dev/tcp/127.0.0.1/8090; do sleep 0.2; done' 2>/dev/null")


def test_a_volume_serves_one_node_and_cannot_be_deleted_under_it(lab: Lab, node: Node) -> None:
    request = lab.request(lab.name(), volume_name="shared")
    with pytest.raises(VolumeInUse, match=f"volume shared is attached to node {node.node_id}"):
        lab.cloud.create_node(request, lambda line: None)
    assert lab.cloud.find_node(request.name) is None
    with pytest.raises(VolumeInUse, match="delete that node first"):
        lab.cloud.delete_volume(node.volume_id)


def test_a_volume_grows_while_a_node_uses_it(lab: Lab, node: Node) -> None:
    lab.cloud.grow_volume(node.volume_id, 2)
    assert lab.on(node, f"sudo -n blockdev --getsize64 {node.volume_device}") == str(2 << 30)


def test_a_second_node_of_the_same_name_is_refused(lab: Lab, node: Node) -> None:
    with pytest.raises(CloudError, match="node shared exists: adopt it"):
        lab.cloud.create_node(lab.request("shared"), lambda line: None)


def test_a_reboot_keeps_disk_identity_address_and_servers(lab: Lab, node: Node) -> None:
    servers = _processes_below(lab.state(node).pid, "nodestack.clouds.local.hub")
    lab.on_booted(node, "sudo -n touch /kept && sudo -n systemd-run --on-active=1 --quiet systemctl reboot")
    _until(lambda: lab.state(node).boots == 2)
    after = lab.until_running(node)
    assert after == node.model_copy(update={"status": NodeStatus.RUNNING})
    assert lab.on_booted(after, "ls /kept") == "/kept"
    assert _processes_below(lab.state(node).pid, "nodestack.clouds.local.hub") == servers


def test_two_nodes_live_side_by_side(lab: Lab, node: Node) -> None:
    other = lab.running()
    assert other.address != node.address
    assert lab.on(other, "hostname") != lab.on(node, "hostname")
    lab.cloud.delete_node(other.node_id)
    assert lab.cloud.read_node(node.node_id) is not None


def test_what_is_on_the_volume_outlives_the_node(lab: Lab) -> None:
    first = lab.running()
    lab.on_booted(first, f"{MOUNT_NEW} && echo kept | sudo -n tee /mnt/file")
    lab.cloud.delete_node(first.node_id)
    assert remains(first, lab.directory) == []
    assert not _needs_recovery(lab.directory / "volumes" / f"{first.name}.img")

    second = lab.running(first.name)
    assert (second.node_id, second.identity) != (first.node_id, first.identity)
    assert lab.cloud.read_node(first.node_id) is None
    assert lab.on_booted(second, "sudo -n mount /dev/vdb /mnt && cat /mnt/file") == "kept"
    lab.cloud.delete_node(second.node_id)


def test_a_node_switched_off_from_within_is_gone(lab: Lab) -> None:
    node = lab.running()
    lab.on_booted(node, "sudo -n systemd-run --on-active=1 --quiet systemctl poweroff")
    _until(lambda: lab.cloud.read_node(node.node_id) is None)
    assert lab.cloud.find_node(node.name) is None
    assert control_groups(node) == []


@pytest.mark.parametrize("victim", ["supervisor", "its parent", "machine", "network"])
def test_whatever_is_killed_takes_all_of_the_node_with_it(lab: Lab, victim: str) -> None:
    node = lab.running()
    lab.on_booted(node, f"{MOUNT_NEW} && sudo -n touch /mnt/file")
    assert remains(node, lab.directory) != []

    supervisor = lab.state(node).pid
    hub = _processes_below(supervisor, "nodestack.clouds.local.hub")[0]
    namespace = os.readlink(f"/proc/{hub}/ns/net")
    assert namespace in network_namespaces() - {os.readlink("/proc/self/ns/net")}
    os.kill(
        {
            "supervisor": lambda: supervisor,
            "its parent": lambda: _parent(supervisor),
            "machine": lambda: _processes_below(supervisor, "systemd-nspawn")[0],
            "network": lambda: _processes_below(supervisor, "slirp4netns")[0],
        }[victim](),
        signal.SIGKILL,
    )

    home = lab.directory / "nodes" / node.name
    _until(lambda: remains(node, lab.directory) == [])
    assert namespace not in network_namespaces()
    assert not _needs_recovery(lab.directory / "volumes" / f"{node.name}.img")
    assert lab.cloud.find_node(node.name) is None
    assert not home.exists()
    assert control_groups(node) == []


def test_a_node_that_ignores_its_shutdown_is_switched_off(lab: Lab) -> None:
    node = lab.running()
    lab.on_booted(
        node,
        "sudo -n systemd-run --quiet --property=TimeoutStopSec=600 --property=SendSIGKILL=no "
        "bash -c 'trap \"\" TERM; while :; do sleep 1; done'",
    )
    lab.cloud.delete_node(node.node_id)
    assert lab.cloud.read_node(node.node_id) is None
    assert remains(node, lab.directory) == []


def test_a_node_is_not_started_with_a_host_key_that_is_none(lab: Lab) -> None:
    request = lab.request(lab.name())
    secret = make_key().private.replace("OPENSSH", "STRANGE")
    broken = request.model_copy(update={"ssh_host_private_key": SecretStr(secret)})
    with pytest.raises(CloudError, match="ssh-keygen -t ed25519") as refused:
        lab.cloud.create_node(broken, lambda line: None)
    assert secret.splitlines()[1] not in str(refused.value)
    assert lab.cloud.find_node(request.name) is None


def _until(holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)


def _needs_recovery(disk: Path) -> bool:
    with disk.open("rb") as file:
        file.seek(1024 + 0x60)
        # s_feature_incompat of ext4's superblock; 0x4 is EXT4_FEATURE_INCOMPAT_RECOVER.
        return bool(int.from_bytes(file.read(4), "little") & 0x4)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _processes_below(ancestor: int, word: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word in (process / "cmdline").read_text() and _parent(int(process.name)) == ancestor:
                found.append(int(process.name))
        except OSError:
            continue
    return found
