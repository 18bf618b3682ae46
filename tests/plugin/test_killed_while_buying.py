"""Kill -9 of engine and plugin around every request that changes an account: the next run has one node, one volume."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nodestack.clouds.simulated import market, spheron
from nodestack.clouds.simulated.faults import Fault, Faults, Kind
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Rules
from nodestack.clouds.simulated.world import World
from tests.clouds.answering import AnsweringMachines
from tests.plugin.trial import Trial

pytestmark = [pytest.mark.e2e, pytest.mark.independent]

REQUESTS = {
    "making the volume": ("POST", "/api/volumes"),
    "ordering the node": ("POST", "/api/deployments"),
    "attaching the volume": ("POST", "/api/volumes/[^/]+/attach"),
    "deleting the node": ("DELETE", "/api/deployments/.*"),
    "deleting the volume": ("DELETE", "/api/volumes/.*"),
}
MOMENTS = {"before its effect": Kind.TIMEOUT_BEFORE, "before its answer": Kind.TIMEOUT_AFTER, "after its answer": None}
VICTIMS = {"engine": ["engine"], "plugin": ["plugin"], "both": ["engine", "plugin"]}
# One of each request's cases runs each time, the others in `make qualify`.
SAMPLE_STEP = 10


class Case(NamedTuple):
    """Which request, when, and who dies."""

    request: str
    moment: str
    victims: str

    @property
    def destroys(self) -> bool:
        """Whether the request is one of tearing down."""
        return self.request.startswith("deleting")


def _named(index: int, case: Case) -> object:
    marks = () if index % SAMPLE_STEP == 0 else pytest.mark.qualify
    return pytest.param(case, id=f"{case.victims} killed {case.moment} of {case.request}", marks=marks)


CASES = [Case(*case) for case in itertools.product(REQUESTS, MOMENTS, VICTIMS)]


class Bench(NamedTuple):
    """A stack, and the simulated account that it is in."""

    trial: Trial
    world: World
    faults: Faults


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    world, faults = World(market.standard(), AnsweringMachines(), rules=Rules(page_size=2)), Faults()
    monkeypatch.setenv("SPHERON_API_KEY", spheron.API_KEY)
    with serve(spheron.app(world, faults)) as base_url:
        account = {"kind": "spheron", "base_url": base_url, "api_key_variable": "SPHERON_API_KEY"}
        yield Bench(Trial(tmp_path, account), world, faults)
        world.close()


@pytest.mark.parametrize("case", [_named(index, case) for index, case in enumerate(CASES)])
def test_the_next_run_has_one_node_and_one_volume(
    bench: Bench, case: Case, record_property: Callable[[str, object], None]
) -> None:
    bought = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}
    bench.trial.want(bought=bought)
    if case.destroys:
        assert bench.trial.up().status == 0
        bench.world.advance(3600)
    _strike(bench, case)
    bench.faults.clear()
    bench.trial.recover()

    run = bench.trial.up()
    assert run.status == 0, run.text
    (machine,) = bench.world.living()
    assert [disk.attached_to for disk in bench.world.disks.values()] == [machine.machine_id]
    report = bench.world.report()
    wanted_gone = ("weights",) if case.request == "deleting the volume" else ()
    lost = [name for name in report.volumes_deleted if name not in wanted_gone]
    twice = max(report.most_alive.get("web", 0) - 1, 0)
    assert (lost, twice) == ([], 0)

    bench.world.advance(3600)
    gone = bench.trial.run("destroy", "--yes", "--skip-preview")
    assert gone.status == 0, gone.text
    left = [*bench.world.report().alive, *bench.world.report().volumes]
    assert left == []
    for name, value in {"cases": 1, "leaked": len(left), "lost": len(lost), "bought twice": twice}.items():
        record_property(name, value)


def _strike(bench: Bench, case: Case) -> None:
    """Begin a run, and kill in it when the request is where the case says."""
    method, path = REQUESTS[case.request]
    kind = MOMENTS[case.moment]
    if kind is not None:
        bench.faults.add(Fault(kind=kind, method=method, path=path, hang_s=60))
    before = len(bench.faults.asked)
    process = bench.trial.start("destroy" if case.destroys else "up")
    try:
        deadline = time.monotonic() + 120
        while not _is_there(bench, before, method, path, answered=kind is None):
            assert process.poll() is None, f"it ended before: {process.communicate()[0]}"
            assert time.monotonic() < deadline, "the request never came"
            time.sleep(0.002)
        if kind is not None:
            # It hangs now; the effect follows its arrival at once, the trace in the world a moment later.
            time.sleep(0.2)
        killed = bench.trial.kill(VICTIMS[case.victims])
        assert len(killed) >= len(VICTIMS[case.victims])
    finally:
        bench.trial.wait_for_the_end(process)


def _is_there(bench: Bench, before: int, method: str, path: str, *, answered: bool) -> bool:
    return any(
        asked.method == method and re.fullmatch(path, asked.path) and (asked.status is not None or not answered)
        for asked in bench.faults.asked[before:]
    )
