"""A stack's life on a simulated Spheron: real engine, client, playbooks and machines, and what the ledger says."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.clouds.local import tiny_model
from nodestack.clouds.simulated.kept import Home
from tests.e2e.project import Project, Run, clone, leftovers

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify]

STACK = "spheron-sim"
CLOUD = f"CLOUD={STACK}"
NODE = f"nodestack-{STACK}-node"
VOLUME = f"nodestack-{STACK}-weights"
SHARDS = {
    path.name: path.stat().st_size for path in (tiny_model.repository() / tiny_model.COMMIT).glob("*.safetensors")
}


class Sold(Project):
    """A checkout whose stack's node is sold by a simulated cloud."""

    @property
    def simulation(self) -> Path:
        """Directory of the simulated account."""
        return self.root / ".nodestack" / "simulated" / STACK

    def up(self) -> Run:
        """Bring the stack up and see that it is."""
        run = self.make("up", CLOUD)
        assert run.status == 0, run.text
        assert re.search(r"says:\n  .+\n(  .*\n)*  \(\d+ tokens in", run.text), run.text
        return run

    def pulumi(self, command: str) -> Run:
        """Run the engine as a user does by hand."""
        run = self.shell(f'eval "$(make -s env {CLOUD})" && pulumi {command} --yes --stack {STACK}')
        assert run.status == 0, run.text
        return run

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return dict(json.loads(self.make("-s", "outputs", CLOUD).text))

    def control(self, what: str, **body: Any) -> Any:
        """Ask the cloud behind its API, or do something to it where there is a body."""
        file = self.root / "stacks" / f"Pulumi.{STACK}.yaml"
        base_url = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]["nodestack:cloud"]["base_url"]
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"{base_url}/_control/{what}", data, timeout=60) as answer:  # noqa: S310 - ours
            return json.load(answer)

    def hub_requests(self) -> list[dict[str, Any]]:
        """What the hubs of all its machines were asked for."""
        logs = sorted((self.simulation / "machines" / "logs").glob("hub-*.jsonl"))
        return [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]

    def require_one_of_each(self, orders: int) -> None:
        """See that so many nodes were ordered in all, never two at once, one lives, and the volume is the first one."""
        report = self.control("report")
        assert report["orders"] == {NODE: orders}
        assert report["most_alive"] == {NODE: 1}
        assert report["alive"] == [NODE]
        assert (report["volumes"], report["volumes_deleted"]) == ([VOLUME], [])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sold]:
    root = tmp_path_factory.mktemp("a clone") / "of it"
    with pytest.MonkeyPatch.context() as environment:
        # Where a cloud's nodes are logged: this project's directory, so that all of it ends with it.
        environment.setenv("XDG_STATE_HOME", str(root / ".nodestack" / "state"))
        environment.setenv("SPHERON_API_KEY", "the user's own, for the real Spheron")
        project = Sold(clone(root).root)
        yield project
        project.make("purge", CLOUD, "YES=1")
        assert leftovers(project) == []


def test_up_orders_a_node_and_ends_with_a_completion(project: Sold) -> None:
    project.up()
    outputs = project.outputs()
    assert outputs["fabric"]["pass"] and outputs["smoke"]["pass"]
    assert outputs["volume"]["protected"] is True
    node = outputs["node"]
    assert (node["cloud"], node["market"], node["region"], node["usd_per_hour"]) == (
        "spheron",
        "spot",
        "us-east-1",
        8.4,
    )
    assert outputs["cost"]["usd_per_hour"] == 8.4, "asked for, not the catalogue's"
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


def test_the_key_of_the_cloud_is_in_no_state_and_no_log(project: Sold) -> None:
    key = (project.simulation / "api_key").read_bytes()
    state = project.root / ".nodestack"
    places = [state / "backend", state / "state", state / "pulumi", project.simulation / "machines" / "logs"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    files += [*project.simulation.glob("*.*"), project.root / "stacks" / f"Pulumi.{STACK}.yaml"]
    assert {"world.json", f"{STACK}.json"} <= {path.name for path in files}
    assert [path for path in files if key in path.read_bytes()] == []
    private = b"BEGIN OPENSSH PRIVATE KEY"
    assert [path for path in files if private in path.read_bytes()] == []


def test_a_preempted_node_is_replaced_with_the_same_volume_and_no_shard_is_fetched_again(project: Sold) -> None:
    before, asked = project.outputs(), len(project.hub_requests())
    assert len(project.control("machines/preempt", name=NODE)["struck"]) == 1
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
    assert (report["alive"], report["volumes"]) == ([], [VOLUME])
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
    run = project.make("purge", CLOUD, "YES=1")
    assert run.status == 0, run.text
    assert "held nothing and was ended" in run.text
    assert not project.simulation.parent.exists()
    assert leftovers(project) == []
