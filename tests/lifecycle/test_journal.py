"""What a journal comes to: the same however often it is read, and money counted by the second of each node."""

from datetime import UTC, datetime, timedelta

import pytest

from nodestack.lifecycle.journal import Entry, Memory, Step, What, after, remembered

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def entry(what: What, when: float = 0, **told: object) -> Entry:
    return Entry.model_validate({"at": at(when), "what": what, **told})


def test_a_node_is_paid_for_from_its_order_until_it_is_seen_to_be_gone() -> None:
    memory = remembered(
        [
            entry("node", 1, node_id="a", usd_per_hour=8.4, since=at(0.5)),
            entry("node", 2, node_id="a", usd_per_hour=9.9),
            entry("gone", 3.5, node_id="a"),
            entry("node", 4, node_id="b", usd_per_hour=10),
        ]
    )
    assert memory.usd_of_the_last_day(at(5)) == pytest.approx(3 * 8.4 + 1 * 10)
    assert memory.usd_of_the_last_day(at(26)) == pytest.approx(1.5 * 8.4 + 22 * 10)
    assert memory.rented is not None and memory.rented.node_id == "b"


def test_a_node_that_another_took_the_place_of_is_paid_for_no_longer() -> None:
    memory = remembered(
        [entry("node", 0, node_id="a", usd_per_hour=1), entry("node", 3, node_id="b", usd_per_hour=1, since=at(2))]
    )
    assert memory.usd_of_the_last_day(at(4)) == pytest.approx(4)


@pytest.mark.parametrize(("last", "since"), [("on_demand", at(1)), ("declared", None)])
def test_hours_on_demand_count_from_the_first_order_until_another_kind_serves(
    last: Step, since: datetime | None
) -> None:
    memory = remembered(
        [
            entry("trying", 0, step="on_demand"),
            entry("failed", 0.1, step="on_demand"),
            entry("trying", 1, step="on_demand"),
            entry("node", 1.5, node_id="a", since=at(1)),
            entry("up", 2, step="on_demand"),
            entry("gone", 3),
            entry("trying", 3, step=last),
            entry("node", 3, node_id="b"),
            entry("up", 4, step=last),
        ]
    )
    assert memory.on_demand_since == since


def test_a_failed_run_of_another_kind_does_not_give_hours_on_demand_anew() -> None:
    memory = remembered(
        [
            entry("trying", 0, step="on_demand"),
            entry("node", 0, node_id="a"),
            entry("up", 0, step="on_demand"),
            entry("trying", 5, step="declared"),
            entry("failed", 5, step="declared"),
        ]
    )
    assert memory.on_demand_since == at(0)
    assert memory.tried == ("declared",)


def test_parking_ends_a_lease_and_says_why_and_being_wanted_ends_that() -> None:
    parked = remembered(
        [entry("wanted"), entry("lease", until=at(4), hours=4), entry("parking", 4), entry("parked", 5, because="why")]
    )
    assert (parked.wanted, parked.parked_because, parked.lease_until, parked.parking_because) == (
        False,
        "why",
        None,
        "",
    )
    wanted = after(parked, entry("wanted", 6))
    assert (wanted.wanted, wanted.parked_because, wanted.wanted_at) == (True, "", at(6))


def test_an_up_of_what_is_up_keeps_its_lease() -> None:
    memory = remembered([entry("wanted"), entry("lease", until=at(4), hours=4), entry("wanted", 1)])
    assert (memory.lease_until, memory.lease_hours) == (at(4), 4)


def test_an_end_that_nobody_wrote_down_is_known() -> None:
    assert remembered([entry("trying")]).trying
    assert not remembered([entry("trying"), entry("failed")]).trying
    assert remembered([]) == Memory()
