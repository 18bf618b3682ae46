"""A stack's life on each simulated cloud: real engine, client, playbooks and machines, and what the ledger says."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from nodestack.clouds.local import tiny_model
from nodestack.clouds.simulated.kept import Home
from nodestack.clouds.simulated.things import Rules
from tests.e2e.project import Project, Run, clone, leftovers

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify]

GIB_USD_PER_HOUR = Rules().volume_usd_per_gib_hour
MAX_NUM_SEQS = 2
"""What the running engine is changed to; the template has 4."""

SHARDS = {
    path.name: path.stat().st_size for path in (tiny_model.repository() / tiny_model.COMMIT).glob("*.safetensors")
}


@dataclass(frozen=True)
class Expected:
    """What a stack of one cloud gets.

    Attributes:
        own_keys: Environment variables of the user's own account, for the real cloud.
        secret: The simulated account's key that must not be found anywhere.
        region: Where its cheapest node stands.
        usd_per_hour: That node's spot price.
        boot_disk_gib: Size of the boot disk that is billed beside each node; 0 where a node's price includes it.
    """

    own_keys: tuple[str, ...]
    secret: str
    region: str
    usd_per_hour: float
    boot_disk_gib: int = 0


CLOUDS = {
    "spheron": Expected(("SPHERON_API_KEY",), "api_key", "us-east-1", 8.4),
    "verda": Expected(("VERDA_CLIENT_ID", "VERDA_CLIENT_SECRET"), "client_secret", "FIN-01", 13.53, 100),
}


@dataclass(frozen=True)
class Sold(Project):
    """A checkout whose stack's node is sold by a simulated cloud.

    Attributes:
        cloud: Which.
    """

    cloud: str

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"{self.cloud}-sim"

    @property
    def node_name(self) -> str:
        """What its cloud calls the node."""
        return f"nodestack-{self.stack}-node"

    @property
    def volume_name(self) -> str:
        """What its cloud calls the weights volume."""
        return f"nodestack-{self.stack}-weights"

    @property
    def expected(self) -> Expected:
        """What it gets."""
        return CLOUDS[self.cloud]

    @property
    def stack_file(self) -> Path:
        """The engine's configuration of the stack."""
        return self.root / "stacks" / f"Pulumi.{self.stack}.yaml"

    @property
    def simulation(self) -> Path:
        """Directory of the simulated account."""
        return self.root / ".nodestack" / "simulated" / self.stack

    def make(self, *arguments: str) -> Run:
        """Run a target of the Makefile for this stack."""
        return super().make(*arguments, f"CLOUD={self.stack}")

    def up(self) -> Run:
        """Bring the stack up and see that it is."""
        run = super().up()
        assert run.status == 0, run.text
        assert re.search(r"says:\n  .+\n(  .*\n)*  \(\d+ tokens in", run.text), run.text
        return run

    def pulumi(self, command: str) -> Run:
        """Run the engine as a user does by hand."""
        run = self.shell(f'eval "$(make -s env CLOUD={self.stack})" && pulumi {command} --yes --stack {self.stack}')
        assert run.status == 0, run.text
        return run

    def control(self, what: str, **body: Any) -> Any:
        """Ask the cloud behind its API, or do something to it where there is a body."""
        server = Home(self.simulation).server()
        assert server is not None
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"{server.base_url}/_control/{what}", data, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def hub_requests(self) -> list[dict[str, Any]]:
        """What the hubs of all its machines were asked for, in the order of the machines: one lives at a time."""
        found = (self.simulation / "machines" / "logs").glob("hub-*.jsonl")
        logs = sorted(found, key=lambda log: log.stat().st_mtime)
        return [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]

    def require_one_of_each(self, orders: int) -> None:
        """See that so many nodes were ordered in all, never two at once, one lives, and the volume is the first one."""
        report = self.control("report")
        assert report["orders"] == {self.node_name: orders}
        assert report["most_alive"] == {self.node_name: 1}
        assert report["alive"] == [self.node_name]
        boot_disk = [f"{self.node_name}-os"] if self.expected.boot_disk_gib else []
        assert report["volumes"] == [*boot_disk, self.volume_name]
        assert report["volumes_deleted"] == boot_disk * (orders - 1)

    def require_the_bill_to_be_what_was_used(self) -> None:
        """See that the money that was spent is that of each node's and volume's time at its price, and none besides."""
        report = self.control("report")
        prices = {
            self.node_name: self.expected.usd_per_hour,
            self.volume_name: 16 * GIB_USD_PER_HOUR,
            f"{self.node_name}-os": self.expected.boot_disk_gib * GIB_USD_PER_HOUR,
        }
        usd, since = 0.0, {}
        for event in self.control("events"):
            if event["what"] in ("ordered", "volume_made"):
                since[event["thing_id"]] = (datetime.fromisoformat(event["at"]), prices[event["name"]])
            elif event["what"] in ("deleted", "preempted", "volume_deleted"):
                begun, price = since.pop(event["thing_id"])
                usd += (datetime.fromisoformat(event["at"]) - begun).total_seconds() / 3600 * price
        now = datetime.fromisoformat(report["now"])
        usd += sum((now - begun).total_seconds() / 3600 * price for begun, price in since.values())
        # The report's clock is read a moment after its bill.
        assert report["spent_usd"] == pytest.approx(usd, abs=0.0005)
        assert usd > self.expected.usd_per_hour / 3600


@pytest.fixture(scope="module", params=list(CLOUDS))
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sold]:
    root = tmp_path_factory.mktemp("a clone") / "of it"
    with pytest.MonkeyPatch.context() as environment:
        # Where a cloud's nodes are logged: this project's directory, so that all of it ends with it.
        environment.setenv("XDG_STATE_HOME", str(root / ".nodestack" / "state"))
        for variable in CLOUDS[request.param].own_keys:
            environment.setenv(variable, "the user's own, for the real cloud")
        project = Sold(clone(root).root, request.param)
        yield project
        project.make("purge", "YES=1")
        assert leftovers(project) == []


def test_up_orders_a_node_and_ends_with_a_completion(project: Sold) -> None:
    project.up()
    outputs = project.outputs()
    assert outputs["fabric"]["pass"] and outputs["smoke"]["pass"]
    assert outputs["volume"]["protected"] is True
    node = outputs["node"]
    assert (node["cloud"], node["market"], node["region"], node["usd_per_hour"]) == (
        project.cloud,
        "spot",
        project.expected.region,
        project.expected.usd_per_hour,
    )
    assert outputs["cost"]["usd_per_hour"] == project.expected.usd_per_hour, "asked for, not the catalogue's"
    assert project.shard_bytes() == SHARDS, "each byte once"
    project.require_one_of_each(orders=1)


def test_up_again_and_refresh_change_nothing(project: Sold) -> None:
    logs = sorted((project.root / ".nodestack" / "state" / "nodestack" / "logs").iterdir())
    assert logs, "its first configuration wrote one"
    events = project.control("events")
    for run in (project.up(), project.pulumi("refresh")):
        assert re.search(r"Resources:\n\s+\d+ unchanged\n", run.text), run.text
    assert sorted((project.root / ".nodestack" / "state" / "nodestack" / "logs").iterdir()) == logs
    assert project.control("events") == events


def test_a_changed_setting_is_applied_to_the_node_as_it_stands(project: Sold) -> None:
    before, asked, events = project.outputs(), len(project.hub_requests()), project.control("events")
    project.configure("serving", max_num_seqs=MAX_NUM_SEQS)
    project.up()
    after = project.outputs()
    assert (before["engine_options"]["max-num-seqs"], after["engine_options"]["max-num-seqs"]) == (4, MAX_NUM_SEQS)
    assert (after["node"]["id"], after["volume"]) == (before["node"]["id"], before["volume"])
    assert project.shard_bytes(asked) == {}
    assert project.control("events") == events


def test_the_secret_key_of_the_cloud_is_in_no_state_and_no_log(project: Sold) -> None:
    key = (project.simulation / project.expected.secret).read_bytes()
    state = project.root / ".nodestack"
    places = [state / "backend", state / "state", state / "pulumi", project.simulation / "machines" / "logs"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    files += [*project.simulation.glob("*.*"), project.stack_file]
    assert {"world.json", f"{project.stack}.json"} <= {path.name for path in files}
    assert [path for path in files if key in path.read_bytes()] == []
    private = b"BEGIN OPENSSH PRIVATE KEY"
    assert [path for path in files if private in path.read_bytes()] == []


def test_a_preempted_node_is_replaced_with_the_same_volume_and_no_shard_is_fetched_again(project: Sold) -> None:
    before, asked = project.outputs(), len(project.hub_requests())
    assert len(project.control("machines/preempt", name=project.node_name)["struck"]) == 1
    project.up()
    after = project.outputs()
    assert after["node"]["id"] != before["node"]["id"]
    assert after["volume"] == before["volume"]
    assert after["manifest_sha256"] == before["manifest_sha256"]
    assert project.shard_bytes(asked) == {}
    project.require_one_of_each(orders=2)


def test_destroy_keeps_the_volume_through_a_restart_of_the_cloud_and_up_fetches_no_shard_again(project: Sold) -> None:
    before, asked = project.outputs(), len(project.hub_requests())
    project.pulumi("destroy --exclude-protected")
    report = project.control("report")
    assert (report["alive"], report["volumes"]) == ([], [project.volume_name])
    server = Home(project.simulation).server()
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    project.up()
    assert Home(project.simulation).server() not in (None, server)
    assert project.outputs()["volume"] == before["volume"]
    assert project.shard_bytes(asked) == {}
    project.require_one_of_each(orders=3)


def test_purge_leaves_nothing_in_the_account_and_nothing_on_this_machine(project: Sold) -> None:
    bought = {event["thing_id"] for event in project.control("events") if event["what"] == "ordered"}
    ended = {event["thing_id"] for event in project.control("events") if event["what"] in ("deleted", "preempted")}
    assert len(bought) == 3 and len(bought - ended) == 1
    project.require_the_bill_to_be_what_was_used()
    run = project.make("purge", "YES=1")
    assert run.status == 0, run.text
    assert "held nothing and was ended" in run.text
    assert not project.simulation.parent.exists()
    assert leftovers(project) == []
