"""`nodestack watch` and its like as processes: real engine, plugin and client, a stack of a volume and a node."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from nodestack.automation.checkout import Checkout
from nodestack.automation.journal import Journal, journal
from nodestack.lifecycle.journal import Entry
from tests.e2e import victims
from tests.plugin import paid
from tests.plugin.engine import ROOT
from tests.plugin.paid import Cloud

pytestmark = pytest.mark.e2e

STACK, NODE, VOLUME = "spot", "nodestack-spot-node", "nodestack-spot-weights"
PROGRAM = '''"""What a stack buys, without what configures it."""

import json
import os

import pulumi
from nodestack.catalog import load
from nodestack.components.purchase import Purchase
from nodestack.components.resources import Node, Volume
from nodestack.lifecycle.choose import query_of

config = {key: value for key, value in json.loads(os.environ["PULUMI_CONFIG"]).items()}
account, node = json.loads(config["nodestack:cloud"]), json.loads(config["nodestack:node"])
query = query_of(load().shape(node["shape"]), node["market"], node.get("region"))
bought = Purchase(query, max_usd_per_hour=node.get("max_usd_per_hour")).inputs()
names = {"volume": "nodestack-spot-weights", "node": "nodestack-spot-node"}
volume = Volume(
    "volume",
    {"account": account, "name": names["volume"], "sizeGib": 100, **bought},
    pulumi.ResourceOptions(protect=True),
)
machine = {"name": names["node"], "shape": node["shape"], "volumeId": volume.volumeId}
key = pulumi.Config().require_secret("ssh_private_key")
Node("node", {"account": account, **machine, "sshPrivateKey": key, **bought}, pulumi.ResourceOptions())
'''


@dataclass(frozen=True)
class Watched:
    """A checkout whose stack is in a simulated account."""

    checkout: Checkout
    cloud: Cloud

    @property
    def journal(self) -> Journal:
        return journal(self.checkout, STACK)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command in a process group of its own."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("PULUMI_")}
        return subprocess.Popen(
            [sys.executable, "-m", "nodestack.cli", *arguments, "--stack", STACK],
            cwd=self.checkout.root,
            env=inherited | {"PYTHONPATH": str(ROOT / "infra")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command to its end and return what it said."""
        with self.start(*arguments) as process:
            text, _ = process.communicate(timeout=300)
        assert process.returncode == status, text
        return text

    def configure(self, section: str, **changes: Any) -> None:
        file = self.checkout.stack_file(STACK)
        document = yaml.safe_load(file.read_text())
        document["config"].setdefault(f"nodestack:{section}", {}).update(changes)
        file.write_text(yaml.safe_dump(document))

    def write(self, what: str, **told: Any) -> None:
        self.journal.write(Entry.model_validate({"at": datetime.now(UTC), "what": what, **told}))

    def require_one(self, market: str) -> str:
        """See that there is one node of a market with the one volume, and never were two; return its id."""
        (machine,) = self.cloud.world.living()
        assert (machine.order.name, machine.order.offer.market) == (NODE, market)
        weights = [disk.attached_to for disk in self.cloud.world.disks.values() if disk.name == VOLUME]
        assert weights == [machine.machine_id]
        report = self.cloud.world.report()
        assert report.most_alive == {NODE: 1}
        assert VOLUME not in report.volumes_deleted
        known = [one["id"] for one in self.checkout.latest(STACK)["resources"] if one["type"].endswith(":Node")]
        assert known == [machine.machine_id]
        return machine.machine_id

    def preempt(self) -> None:
        for machine in self.cloud.world.living():
            self.cloud.world.preempt(machine.machine_id)


@pytest.fixture(scope="module", params=paid.CLOUDS)
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with paid.opened(request.param) as cloud:
        root = tmp_path_factory.mktemp("a checkout")
        (root / "program").mkdir()
        (root / "program" / "__main__.py").write_text(PROGRAM)
        (root / ".nodestack").mkdir()
        shutil.copy(ROOT / ".nodestack" / "engine.json", root / ".nodestack")
        python = {"name": "python", "options": {"virtualenv": sys.prefix}}
        providers = [{"name": "nodestack", "path": str(ROOT / "infra" / "provider")}]
        project = {"name": "nodestack", "runtime": python, "main": "program", "stackConfigDir": "stacks"}
        (root / "Pulumi.yaml").write_text(json.dumps(project | {"plugins": {"providers": providers}}))
        config = {
            "nodestack:cloud": dict(cloud.account),
            "nodestack:node": {
                "shape": "8x-h100-sxm5",
                "market": "spot",
                "driver_repository": "r",
                "driver_repository_key_url": "k",
            },
            "nodestack:watch": {"fallbacks": ["on_demand", "park"]},
        }
        (root / "stacks").mkdir()
        checkout = Checkout(root)
        checkout.stack_file(STACK).write_text(yaml.safe_dump({"config": config}))
        yield Watched(checkout, cloud)


def test_a_stack_that_nobody_wants_is_left_alone(watched: Watched) -> None:
    watched.run("init")
    assert "nothing: nobody brought it up" in watched.run("watch", "--once")
    assert watched.cloud.world.report().orders == {}


def test_what_is_wanted_and_not_there_is_brought_up_and_then_left_alone(watched: Watched) -> None:
    watched.write("wanted", because="asked for by hand")
    assert "refuse: its weights volume is gone" in watched.run("watch", "--once", status=1)
    offer = watched.cloud.world.market[0]
    watched.cloud.world.make_disk(VOLUME, 100, offer.provider, offer.region)
    assert "replace: it has no node" in watched.run("watch", "--once")
    node = watched.require_one("spot")
    asked = len(watched.cloud.faults.asked)
    assert "nothing: its node is there" in watched.run("watch", "--once")
    assert watched.require_one("spot") == node
    assert len(watched.cloud.faults.asked) - asked <= 2, "a look is a question or two"


def test_a_preempted_node_is_replaced(watched: Watched) -> None:
    before = watched.require_one("spot")
    watched.preempt()
    text = watched.run("watch", "--once")
    assert f"replace: node {before} is preempted" in text
    assert watched.require_one("spot") != before


def test_a_fallback_is_bought_without_a_change_of_the_stacks_file(watched: Watched) -> None:
    file = watched.checkout.stack_file(STACK)
    before, stock = file.read_bytes(), dict(watched.cloud.world.stock)
    watched.preempt()
    for key in stock:
        if key[2] == "spot":
            watched.cloud.world.stock[key] = 0
    watched.run("watch", "--once")
    watched.require_one("on_demand")
    assert file.read_bytes() == before
    assert (watched.checkout.state / "watch" / f"{STACK}.on_demand.yaml").stat().st_mode & 0o777 == 0o600
    watched.cloud.world.stock |= stock
    assert "nothing: its node is there" in watched.run("watch", "--once"), "it keeps what it has"
    watched.configure("watch", on_demand_hours=0.0001)
    text = watched.run("watch", "--once")
    assert "replace: its hours on demand are over" in text
    watched.require_one("spot")


@pytest.mark.parametrize("kinds", [[], ["engine"], ["engine", "language host", "program", "plugin"]])
def test_a_watch_that_is_killed_while_it_replaces_is_continued(watched: Watched, kinds: list[str]) -> None:
    watched.preempt()
    orders = watched.cloud.world.report().orders[NODE]
    with watched.start("watch", "--once") as process:
        deadline = time.monotonic() + 120
        while watched.cloud.world.report().orders[NODE] == orders:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        victims.kill(kinds, watched.checkout.root)
        process.communicate(timeout=120)
    assert victims.gone(watched.checkout.root, 90) == []
    assert watched.journal.memory().trying
    watched.run("watch", "--once")
    watched.require_one("spot")


def test_park_keeps_the_volume_and_shows_both_costs_and_watch_leaves_it_parked(watched: Watched) -> None:
    (machine,) = watched.cloud.world.living()
    price = machine.order.offer.usd_per_hour
    text = watched.run("park")
    assert f"before: {price + 0.013:.4f} USD/h" in text
    assert "after: 0.0130 USD/h, 9.36 USD in 30 days (no node, volume 0.0130)" in text
    assert watched.cloud.world.living() == []
    assert VOLUME in watched.cloud.world.report().volumes
    assert "nothing: parked: asked for by hand" in watched.run("watch", "--once")
    assert "is not up, so there is nothing to lease" in watched.run("lease", "--for", "4h", status=2)


def test_a_lease_that_is_renewed_goes_on_and_one_that_ends_parks(watched: Watched) -> None:
    watched.write("wanted")
    watched.run("watch", "--once")
    assert "in 4.00 h, unless its lease is renewed" in watched.run("lease", "--for", "4h")
    assert "no watch runs in this checkout" in watched.run("lease", "--renew")
    watched.write("lease", until=datetime.now(UTC) + timedelta(seconds=1), hours=4)
    assert "in 4.00 h" in watched.run("lease", "--renew")
    watched.run("watch", "--once")
    watched.require_one("spot")
    watched.write("lease", until=datetime.now(UTC), hours=4)
    assert "park: its lease ended" in watched.run("watch", "--once")
    assert watched.cloud.world.living() == []
    assert "stays up" in watched.run("lease")


def test_no_key_is_in_the_journal_or_beside_it(watched: Watched) -> None:
    keys = [text.encode() for name, text in os.environ.items() if "SPHERON" in name or "VERDA" in name]
    files = [path.read_bytes() for path in (watched.checkout.state / "watch").iterdir()]
    assert len(files) > 1
    assert [key for key in keys for text in files if key in text or b"PRIVATE KEY" in text] == []
