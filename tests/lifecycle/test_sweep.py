"""What is stray is decided after the lists are read, and asked once more right before anything is deleted."""

from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack import naming
from nodestack.clouds.simulated.machines import Order
from nodestack.errors import AmbiguousError, Interrupted
from nodestack.lifecycle import sweep
from nodestack.lifecycle.sweep import Known, Thing
from tests.clouds.spheron.bench import Spheron

STACKS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def node(sim: Spheron, name: str = "nodestack-prod-node") -> str:
    return sim.world.order(Order(name=name, offer=sim.world.market[0]), unique_names=False).machine_id


def strays(sim: Spheron, known: Known | None = None) -> tuple[Thing, ...]:
    return sweep.survey(sim.cloud, "nodestack", lambda: known or Known()).strays


@given(STACKS)
def test_a_name_leads_back_to_its_stack_and_to_no_other(stack: str) -> None:
    for name in (naming.node_name("nodestack", stack), naming.volume_name("nodestack", stack)):
        assert sweep.stack_of("nodestack", name) == stack
        assert sweep.stack_of("nodestack-prod", f"nodestack-{stack}") is None
        assert sweep.stack_of("nodestack", f"{name}s") is None
        assert sweep.stack_of("nodestack", f"my{name}") is None


def test_what_a_run_made_while_the_lists_were_read_is_not_stray(sim: Spheron) -> None:
    made: list[str] = []

    def known() -> Known:
        # Read before the lists, it would not have it yet.
        asked = [one.path for one in sim.faults.asked]
        assert "/api/deployments" in asked
        assert "/api/volumes" in asked
        return Known(ids=frozenset(made))

    made.append(node(sim))
    assert sweep.survey(sim.cloud, "nodestack", known).strays == ()


@pytest.mark.parametrize("state", ["recorded", "at work"])
def test_what_a_stack_took_up_since_is_not_deleted(sim: Spheron, state: str) -> None:
    taken, other = node(sim), node(sim, "nodestack-old-node")
    found = strays(sim)
    known = Known(ids=frozenset({taken})) if state == "recorded" else Known(at_work=frozenset({"prod"}))
    failed = sweep.delete(sim.cloud, found, lambda: known, progress=lambda line: None, cancelled=Event())
    assert list(failed) == [taken]
    assert "took it up meanwhile" in failed[taken]
    assert [machine.machine_id for machine in sim.world.living()] == [taken]
    assert other not in failed


def test_a_status_that_nobody_knows_makes_no_list(sim: Spheron) -> None:
    node(sim)
    sim.world.machine(node(sim, "somebody-elses")).shown_status = "odd"
    with pytest.raises(AmbiguousError, match="odd"):
        strays(sim)


def test_an_interrupted_sweep_deletes_no_more(sim: Spheron) -> None:
    node(sim)
    cancelled = Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        sweep.delete(sim.cloud, strays(sim), Known, progress=lambda line: None, cancelled=cancelled)
    assert len(sim.world.living()) == 1
