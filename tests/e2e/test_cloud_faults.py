"""A fault at each step of a stack's life on a simulated Spheron: the next `make up` ends with a completion."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from nodestack.clouds.simulated.faults import Kind
from nodestack.clouds.simulated.things import Rules
from tests.e2e import victims
from tests.e2e.project import clone, leftovers
from tests.e2e.test_simulated_cloud import SHARDS, Sold

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.independent]

STACK = "spheron-sim"
CLOUD = f"CLOUD={STACK}"
NODE, VOLUME = f"nodestack-{STACK}-node", f"nodestack-{STACK}-weights"
PATIENCE_S = 300
REQUESTS = {
    "making the volume": ("POST", "/api/volumes"),
    "listing nodes": ("GET", "/api/deployments"),
    "ordering the node": ("POST", "/api/deployments"),
    "attaching the volume": ("POST", "/api/volumes/[^/]+/attach"),
    "deleting the node": ("DELETE", "/api/deployments/.*"),
}
AFTER_THE_EFFECT = {kind.name for kind in Kind if "after the effect" in kind.value}
HANG_S, HANG_UNTIL_KILLED_S = 5, 120
UNTIL_CLEARED = 10**6


class Case(NamedTuple):
    """What goes wrong, where, and what else holds meanwhile.

    Attributes:
        request: The step.
        kind: How the step's request goes wrong; None where it does not.
        victims: Who is killed while it does.
        times: How often it goes wrong.
        rules: How the cloud behaves until the fault is mended.
        shown_status: The status that the cloud shows of the living node, which vanishes after the first run.
    """

    request: str
    kind: Kind | None = None
    victims: tuple[str, ...] = ()
    times: int = 1
    rules: Rules = Rules()
    shown_status: str = ""

    @property
    def name(self) -> str:
        """The case in words."""
        how_often = ", until it is mended" if self.times > 1 else ""
        lag = f", lists lag by {self.rules.lists_lag_calls}" if self.rules.lists_lag_calls else ""
        what = self.kind.value if self.kind else "cloud-init dropped" if self.rules.drop_cloud_init else ""
        if self.shown_status:
            what = f"status {self.shown_status!r}, then the node vanishes"
        if self.victims:
            what = f"{' and '.join(self.victims)} killed, {what}"
        return f"{what}, {self.request}{how_often}{lag}"


LAGGING = Rules(lists_lag_calls=3)
CASES = [
    Case("making the volume", Kind.ERROR_AFTER),
    Case("listing nodes", Kind.ERROR_BEFORE, times=UNTIL_CLEARED),
    Case("ordering the node", Kind.ERROR_AFTER, rules=LAGGING),
    Case("ordering the node", Kind.TIMEOUT_AFTER),
    Case("ordering the node", Kind.OUT_OF_STOCK, times=UNTIL_CLEARED),
    # The next order is refused, since the name is taken by what no list shows yet.
    Case("ordering the node", Kind.TIMEOUT_AFTER, ("engine",), rules=LAGGING),
    Case("attaching the volume", Kind.TIMEOUT_BEFORE, ("plugin",)),
    Case("deleting the node", Kind.TIMEOUT_AFTER, ("engine", "plugin")),
    Case("ordering the node", rules=Rules(drop_cloud_init=True)),
    Case("reading the node", shown_status="rebooting"),
]


class Struck(Sold):
    """A stack whose cloud, engine and plugin fail on demand."""

    def node_lives(self) -> bool:
        """Whether there is a node now."""
        return bool(self.control("report")["alive"])

    def clear(self) -> None:
        """Have the account hold nothing, and its cloud run, so that all of a stack's life is before it."""
        if self.simulation.exists():
            assert self.make("purge", CLOUD, "YES=1").status == 0
        assert self.make("init", CLOUD).status == 0

    def behave(self, rules: Rules) -> None:
        """Have the cloud behave so from now on."""
        self.ask("PATCH", "rules", rules.model_dump())

    def mend(self) -> None:
        """Take every fault back."""
        self.ask("DELETE", "faults")
        self.behave(Rules())

    def ask(self, method: str, what: str, body: Any = None) -> None:
        """Tell the cloud behind its API to do something."""
        httpx.request(method, f"{self.base_url()}/_control/{what}", json=body, timeout=60).raise_for_status()

    def base_url(self) -> str:
        """Where the cloud is."""
        text = (self.root / "stacks" / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")
        found = re.search(r"base_url: (\S+)", text)
        assert found is not None
        return found[1]

    def require_accounted(self) -> Counter[str]:
        """See that every request that bought something, and no other, is in the ledger; return what was bought."""
        events = Counter(event["what"] for event in self.control("events"))
        bought: Counter[str] = Counter()
        for asked in self.control("requests"):
            taken = asked["fault"] in AFTER_THE_EFFECT if asked["fault"] else asked["status"] == 201
            if asked["method"] == "POST" and taken:
                bought[asked["path"]] += 1
        assert bought["/api/deployments"] == events["ordered"]
        assert bought["/api/volumes"] == events["volume_made"]
        return events


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    root = tmp_path_factory.mktemp("a clone") / "of it"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(root / ".nodestack" / "state"))
        stack = Struck(clone(root).root, "spheron")
        stack.clear()
        yield stack
        stack.make("purge", CLOUD, "YES=1")
        assert leftovers(stack) == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_next_up_ends_with_a_completion(
    stack: Struck, case: Case, record_property: Callable[[str, object], None]
) -> None:
    _prepare(stack, case)
    asked = len(stack.hub_requests())
    kept = stack.control("report")["volumes"]
    _strike(stack, case)
    report = stack.control("report")
    assert report["most_alive"].get(NODE, 0) <= 1
    assert set(kept) <= set(report["volumes"])
    stack.mend()

    stack.up()
    report = stack.control("report")
    stack.require_accounted()
    leaked = len(report["alive"]) - 1 + len(report["volumes"]) - 1
    lost, twice = len(report["volumes_deleted"]), report["most_alive"][NODE] - 1
    assert (report["alive"], report["volumes"], lost, twice) == ([NODE], [VOLUME], 0, 0)
    assert stack.outputs()["smoke"]["pass"]
    assert set(stack.shard_bytes(asked)) == (set() if kept else set(SHARDS)), "what is on the volume is kept"
    for name, value in {"cases": 1, "leaked": leaked, "lost": lost, "bought twice": twice}.items():
        record_property(name, value)


def test_with_state_and_keys_lost_the_volume_is_kept_and_the_node_replaced_once_it_is_let_go(
    stack: Struck, record_property: Callable[[str, object], None]
) -> None:
    if not stack.node_lives():
        stack.up()
    before, asked = stack.outputs(), len(stack.hub_requests())
    file, base_url = stack.root / "stacks" / f"Pulumi.{STACK}.yaml", stack.base_url()
    shutil.rmtree(stack.root / ".nodestack" / "backend")
    template = (stack.root / "stacks" / "templates" / f"{STACK}.yaml").read_text(encoding="utf-8")
    file.write_text(template.replace("http://127.0.0.1:0", base_url), encoding="utf-8")

    refused = stack.make("up", CLOUD)
    assert refused.status != 0
    assert f"Node {NODE} was made with another key than this stack has now" in refused.text
    assert stack.control("report")["alive"] == [NODE], "it may serve for another checkout"
    deleted = stack.shell(f'eval "$(make -s env {CLOUD})" && .venv/bin/nodestack sweep --delete {NODE} --yes')
    assert deleted.status == 0, deleted.text
    stack.up()
    after = stack.outputs()
    assert after["node"]["id"] != before["node"]["id"]
    assert after["volume"] == before["volume"]
    assert stack.shard_bytes(asked) == {}
    report = stack.control("report")
    stack.require_accounted()
    assert (report["alive"], report["volumes"], report["volumes_deleted"]) == ([NODE], [VOLUME], [])
    assert report["most_alive"] == {NODE: 1}
    for name, value in {"cases": 1, "leaked": 0, "lost": 0, "bought twice": 0}.items():
        record_property(name, value)


def _prepare(stack: Struck, case: Case) -> None:
    """Have the step be ahead: no volume before it is made, no node before it is ordered, one before it is deleted."""
    # A case that failed may have left its own.
    stack.mend()
    if case.request == "making the volume":
        if stack.control("report")["volumes"]:
            stack.clear()
    elif case.request == "deleting the node" or case.shown_status:
        if not stack.node_lives():
            stack.up()
    elif stack.node_lives():
        stack.control("machines/preempt", name=NODE)


def _strike(stack: Struck, case: Case) -> None:
    """Run into the fault."""
    stack.behave(case.rules)
    if case.shown_status:
        stack.control("machines/show", name=NODE, status=case.shown_status)
        orders = stack.control("report")["orders"]
        assert "not refreshed" in stack.make("up", CLOUD).text
        assert stack.control("report")["orders"] == orders, "nothing is bought in doubt"
        assert stack.control("machines/vanish", name=NODE)["struck"]
        return
    if case.kind is not None:
        method, path = REQUESTS[case.request]
        hang_s = HANG_UNTIL_KILLED_S if case.victims else HANG_S
        fault = {"kind": case.kind.value, "method": method, "path": path, "times": case.times, "hang_s": hang_s}
        stack.ask("POST", "faults", [fault])
    target = "down" if case.request == "deleting the node" else "up"
    if case.victims:
        _kill(stack, case, target)
    else:
        stack.make(target, CLOUD)
    if case.kind is not None:
        assert any(asked["fault"] == case.kind.name for asked in stack.control("requests")), "it never struck"


def _kill(stack: Struck, case: Case, target: str) -> None:
    assert case.kind is not None
    before = len(stack.control("requests"))
    with stack.start("make", target, CLOUD) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not any(asked["fault"] == case.kind.name for asked in stack.control("requests")[before:]):
                assert process.poll() is None, f"it ended before: {stack.started_log()}"
                assert time.monotonic() < deadline, "the request never came"
                time.sleep(0.05)
            # Its effect follows its arrival at once, the trace in the world a moment later.
            time.sleep(0.5)
            assert len(victims.kill(list(case.victims), stack.root)) >= len(case.victims)
            process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                process.terminate()
    for kind in victims.gone(stack.root, 20):
        victims.kill([kind], stack.root)
