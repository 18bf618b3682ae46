"""What a watch does next: replaces what is surely gone, in the order declared, within its money; doubts the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodestack.lifecycle.journal import Entry, Memory, What, remembered
from nodestack.lifecycle.watch import LONGEST_WAIT, MOST_FAILURES, Seen, choose, decide, night_began, wait_for
from nodestack.settings.watch import WatchSettings

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ALL = WatchSettings(
    fallbacks=("region", "offer", "on_demand", "park"),
    offer_max_usd_per_hour=20,
    on_demand_hours=4,
    budget_usd_per_day=100,
)
UP = Memory(wanted=True, wanted_at=NOON)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def seen(health: str = "alive", hours: float = 0, **told: Any) -> Seen:
    node = {} if health == "none" else {"node_id": "node-1"}
    return Seen.model_validate({"at": at(hours), "health": health, **node, **told})


def memory(*lines: tuple[What, float, dict[str, Any]]) -> Memory:
    said = [Entry.model_validate({"at": at(hours), "what": what, **told}) for what, hours, told in lines]
    return remembered([Entry(at=NOON, what="wanted"), *said])


def do(terms: WatchSettings, known: Memory, what: Seen) -> str:
    return decide(terms, known, what).do


def test_what_is_well_is_left_alone_and_what_is_surely_gone_is_replaced() -> None:
    assert do(ALL, UP, seen()) == "nothing"
    assert do(ALL, UP, seen("gone")) == "replace"


@given(
    hours=st.floats(0, 1000),
    known=st.sampled_from([UP, Memory(), memory(("trying", 0, {})), memory(("lease", 0, {"until": NOON, "hours": 1}))]),
)
def test_no_doubt_ever_changes_anything(hours: float, known: Memory) -> None:
    action = decide(ALL, known, seen("unclear", hours, because="no answer"))
    assert action.do == "wait"
    assert "no answer" in action.because


def test_while_another_run_is_at_work_nothing_is_done() -> None:
    for health in ("alive", "gone", "none", "unclear"):
        assert do(ALL, UP, seen(health, busy=True)) == "wait"


def test_a_stack_that_nobody_brought_up_or_that_is_parked_is_left_alone() -> None:
    assert do(ALL, Memory(), seen("none", is_recorded=False)) == "nothing"
    assert do(ALL, Memory(), seen("alive", is_recorded=False)) == "nothing"
    assert do(ALL, memory(("parked", 0, {"because": "asked to"})), seen("none", is_recorded=False)) == "nothing"


def test_a_node_of_a_parked_stack_is_told_to_a_person() -> None:
    action = decide(ALL, memory(("parked", 0, {"because": "asked to"})), seen())
    assert action.do == "refuse"
    assert "node node-1 is there" in action.because


def test_without_its_volume_nothing_is_bought() -> None:
    action = decide(ALL, UP, seen("gone", has_volume=False))
    assert action.do == "refuse"
    assert "weights volume is gone" in action.because


def test_a_node_that_is_switched_off_is_a_persons_to_judge() -> None:
    assert do(ALL, UP, seen("stopped")) == "refuse"


def test_a_run_whose_end_nobody_wrote_down_goes_on() -> None:
    assert do(ALL, memory(("trying", 0, {})), seen()) == "go_on"
    assert do(ALL, UP, seen(is_recorded=False)) == "go_on"
    assert do(ALL, memory(("parking", 0, {"because": "its lease ended"})), seen()) == "park"


def test_failures_on_a_node_that_exists_wait_longer_each_time_and_end_in_parking() -> None:
    one = memory(("failed", 0, {}))
    assert do(ALL, one, seen(hours=29 / 3600)) == "wait"
    assert do(ALL, one, seen(hours=31 / 3600)) == "go_on"
    many = memory(*(("failed", 0, {}) for _ in range(MOST_FAILURES)))
    assert do(ALL, many, seen(hours=9)) == "park"
    assert do(WatchSettings(), many, seen(hours=9)) == "refuse"


@given(st.integers(0, 10_000))
def test_waiting_never_ends_sooner_after_more_failures_and_is_bounded(failures: int) -> None:
    assert wait_for(failures) <= wait_for(failures + 1) <= LONGEST_WAIT


PRICES = {"declared": 8.4, "region": 8.4, "offer": 19.2, "on_demand": 17.6}


@pytest.mark.parametrize(
    ("gone", "step"),
    [
        ((), "declared"),
        (("declared",), "region"),
        (("declared", "region"), "offer"),
        (("declared", "region", "offer"), "on_demand"),
        (("declared", "region", "offer", "on_demand"), None),
    ],
)
def test_fallbacks_are_taken_in_the_order_declared(gone: tuple[str, ...], step: str | None) -> None:
    prices: dict[Any, float | None] = {name: None if name in gone else usd for name, usd in PRICES.items()}
    choice = choose(ALL, UP, prices, NOON)
    assert choice.step == step
    assert choice.because.count("nothing fits") == len(gone)


def test_what_failed_in_this_round_is_not_tried_again_in_it() -> None:
    known = memory(("failed", 0, {"step": "declared"}), ("failed", 0, {"step": "region"}))
    prices: dict[Any, float | None] = {**PRICES}
    assert choose(ALL, known, prices, NOON).step == "offer"
    again = memory(("failed", 0, {"step": "declared"}), ("exhausted", 0, {}))
    assert choose(ALL, again, prices, NOON).step == "declared"


def test_nothing_is_bought_beyond_the_budget_of_a_day() -> None:
    prices: dict[Any, float | None] = {"declared": 8.4}
    spent = memory(("node", 0, {"node_id": "a", "usd_per_hour": 10}), ("gone", 9.2, {}))
    assert choose(ALL, spent, prices, at(10)).step is None
    assert "not within the budget" in choose(ALL, spent, prices, at(10)).because
    assert choose(ALL, spent, prices, at(10)).step is None
    assert choose(ALL, spent, prices, at(24.1)).step == "declared"


def test_on_demand_ends_after_its_hours_and_is_not_taken_again_at_once() -> None:
    lines: list[tuple[What, float, dict[str, Any]]] = [
        ("trying", 0, {"step": "on_demand"}),
        ("node", 0, {"node_id": "node-1"}),
        ("up", 0.2, {"step": "on_demand"}),
    ]
    assert do(ALL, memory(*lines), seen(hours=3.9)) == "nothing"
    assert do(ALL, memory(*lines), seen(hours=4)) == "replace"
    only: dict[Any, float | None] = {"on_demand": 17.6}
    assert choose(ALL, memory(*lines), only, at(3)).step == "on_demand", "what is left of its hours"
    assert choose(ALL, memory(*lines), only, at(4)).step is None


def test_a_lease_ends_in_parking_whatever_the_node_is() -> None:
    leased = memory(("lease", 0, {"until": at(4), "hours": 4}))
    assert do(ALL, leased, seen(hours=3.99)) == "nothing"
    for health in ("alive", "gone", "none", "stopped"):
        assert do(ALL, leased, seen(health, 4)) == "park"
    renewed = memory(("lease", 0, {"until": at(4), "hours": 4}), ("lease", 3, {"until": at(7), "hours": 4}))
    assert do(ALL, renewed, seen(hours=4)) == "nothing"


def test_idle_is_what_a_node_says_and_never_guessed() -> None:
    terms = WatchSettings(idle_minutes=30)
    assert do(terms, UP, seen(idle_s=1799)) == "nothing"
    assert do(terms, UP, seen(idle_s=1800)) == "park"
    assert do(terms, UP, seen(idle_s=None)) == "nothing"
    assert do(WatchSettings(), UP, seen(idle_s=1e9)) == "nothing"


NIGHT = WatchSettings(night="22:00-06:30", timezone="Europe/Helsinki")


@pytest.mark.parametrize(
    ("utc", "began"),
    [
        ("2026-11-27T19:59", None),
        ("2026-11-27T20:00", "2026-11-27T20:00"),
        ("2026-11-28T04:29", "2026-11-27T20:00"),
        ("2026-11-28T04:30", None),
        # A summer's clock is an hour ahead.
        ("2026-07-01T19:00", "2026-07-01T19:00"),
    ],
)
def test_a_night_is_one_by_the_clock_of_its_place(utc: str, began: str | None) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    expected = None if began is None else datetime.fromisoformat(began).replace(tzinfo=UTC)
    assert night_began(NIGHT, now) == expected


def test_a_stack_is_parked_at_night_and_brought_up_after_it_unless_somebody_wanted_otherwise() -> None:
    evening, morning = 8.5, 17
    assert do(NIGHT, UP, seen(hours=7.9)) == "nothing"
    assert do(NIGHT, UP, seen(hours=evening)) == "park"
    asleep = memory(("parked", evening, {"because": "the night"}))
    assert do(NIGHT, asleep, seen("none", evening + 1)) == "nothing"
    assert do(NIGHT, asleep, seen("none", morning)) == "replace"
    woken = memory(("parked", evening, {"because": "the night"}), ("wanted", evening + 1, {}))
    assert do(NIGHT, woken, seen(hours=evening + 2)) == "nothing"
    asked = memory(("parked", evening, {"because": "asked to"}))
    assert do(NIGHT, asked, seen("none", morning)) == "nothing", "who parks it by hand keeps it parked"


def test_notice_is_answered_by_draining_once() -> None:
    noticed = seen(reclaimed_at=at(0.03))
    assert do(ALL, UP, noticed) == "drain"
    assert do(ALL, memory(("drained", 0, {})), noticed) == "wait"


def test_a_node_that_its_cloud_left_after_all_serves_again() -> None:
    drained = memory(("drained", 0, {}))
    assert do(ALL, drained, seen(hours=0.05)) == "go_on", "the notice was withdrawn"
    assert do(ALL, drained, seen(hours=0.05, reclaimed_at=at(0.03))) == "wait", "clouds are late"
    assert do(ALL, drained, seen(hours=0.25, reclaimed_at=at(0.03))) == "go_on"
    assert do(ALL, UP, seen(hours=0.25, reclaimed_at=at(0.03))) == "nothing", "what is over is not drained for"
    served = memory(("drained", 0, {}), ("trying", 0.2, {}), ("up", 0.25, {}))
    assert do(ALL, served, seen(hours=0.3, reclaimed_at=at(0.03))) == "nothing"
    failed = memory(("drained", 0, {}), ("trying", 0.2, {}), ("failed", 0.25, {}))
    assert do(ALL, failed, seen(hours=0.25)) == "wait", "tried again after a while"
    assert do(ALL, failed, seen(hours=0.3)) == "go_on"
    often: tuple[What, float, dict[str, Any]] = ("failed", 0.25, {})
    given_up = memory(("drained", 0, {}), *[often] * MOST_FAILURES)
    assert do(ALL, given_up, seen(hours=9)) == "park", "and given up like any other"
