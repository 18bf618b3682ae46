"""Nodes that are taken before they ever served: the same is bought again, within reason, and their cost is known."""

import pytest

from nodestack.lifecycle.journal import MOST_TAKEN
from tests.automation.watched import Bench


def test_a_node_that_is_taken_before_it_serves_gives_no_dearer_one_its_turn(bench: Bench) -> None:
    bench.preempt()
    bench.runs.struck = MOST_TAKEN - 1
    bench.settle()
    assert bench.runs.upped[1:] == ["declared"] * MOST_TAKEN
    assert bench.alive() == ["spot"]
    assert bench.whats()[-4 * MOST_TAKEN :] == [
        "gone",
        *["trying", "node", "gone", "failed"] * (MOST_TAKEN - 1),
        *["trying", "node", "up"],
    ]


def test_one_that_is_taken_each_time_before_it_serves_does(bench: Bench) -> None:
    bench.preempt()
    bench.runs.struck = MOST_TAKEN
    bench.settle()
    assert bench.runs.upped[1:] == [*["declared"] * MOST_TAKEN, bench.terms.fallbacks[0]]


def test_a_node_that_was_bought_and_taken_within_one_run_is_in_the_budget(spheron: Bench) -> None:
    spheron.preempt()
    spheron.runs.struck = 1
    spheron.settle()
    memory = spheron.journal.memory()
    _, taken, _ = memory.rentals
    assert taken.usd_per_hour == 8.4
    assert taken.usd(taken.since, spheron.now) == pytest.approx(8.4 * 600 / 3600, rel=0.01)


def test_a_node_that_is_taken_from_a_run_by_hand_is_no_failure_of_what_is_declared(bench: Bench) -> None:
    bench.runs.struck = 1
    bench.preempt()
    bench.write("wanted", because="asked for by hand")
    bench.write("trying", because="asked for by hand")
    assert bench.runs.up("declared") == 1
    bench.write("failed", because="asked for by hand")
    bench.settle()
    assert bench.runs.upped[1:] == ["declared", "declared"]
    bench.runs.require_one()
