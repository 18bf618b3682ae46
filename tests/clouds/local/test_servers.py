import sys

from nodestack.clouds.local.records import NodeRecord
from nodestack.clouds.local.servers import Servers, commands

RECORD = NodeRecord(
    node_id="n-1", identity="n-1-2", name="n", shape="local", volume_id="v-1", hardware_profile="", image="/i",
    disk="/d", hub_log="/logs/hub-n.jsonl",
)  # fmt: skip


class Host:
    """Counts what is started, under a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.started: list[str] = []

    def start(self, argv: list[str]) -> int:
        self.started.append(argv[5])
        return len(self.started)


def test_both_servers_run_in_the_nodes_network_on_the_ports_its_configuration_names() -> None:
    python = ["nsenter", "--net=run/netns", sys.executable, "-P", "-m"]
    assert commands(RECORD) == [
        [*python, "nodestack.clouds.local.hub", "--port", "8090", "--log", "/logs/hub-n.jsonl"],
        [*python, "nodestack.clouds.local.repository", "--port", "8091"],
    ]


def test_a_server_that_ends_is_started_again_and_the_other_left_alone() -> None:
    host = Host()
    servers = Servers(RECORD, host.start, lambda: host.now)
    servers.start_due()
    servers.start_due()
    assert host.started == ["nodestack.clouds.local.hub", "nodestack.clouds.local.repository"]
    servers.ended(1)
    servers.start_due()
    assert len(host.started) == 2
    host.now = 1.0
    servers.start_due()
    assert host.started[2:] == ["nodestack.clouds.local.hub"]


def test_a_server_that_keeps_ending_is_started_ever_more_rarely_until_it_was_well() -> None:
    host = Host()
    servers = Servers(RECORD, host.start, lambda: host.now)
    servers.start_due()
    waits: list[float] = []
    latest = 1
    for _ in range(7):
        servers.ended(latest)
        ended_at = host.now
        while len(host.started) - 2 == len(waits):
            host.now += 1
            servers.start_due()
        latest = len(host.started)
        waits.append(host.now - ended_at)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    host.now += 3600
    servers.ended(latest)
    host.now += 1
    servers.start_due()
    assert len(host.started) == 2 + 7 + 1
