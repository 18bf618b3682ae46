"""A call ends in time once cancelled, whatever its work does."""

import time
from threading import Event

import pytest

from nodestack.errors import Interrupted
from nodestack.plugin.interrupt import GRACE_S, LAST_LOOK_S, until_cancelled


def test_work_that_ends_gives_its_result() -> None:
    assert until_cancelled(lambda: 7, Event()) == 7


def test_what_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        until_cancelled(lambda: 1 // 0, Event())


def test_work_that_does_not_stop_is_left_behind_after_its_grace() -> None:
    cancelled, end = Event(), Event()
    cancelled.set()
    begun = time.monotonic()
    with pytest.raises(Interrupted, match="run again to go on"):
        until_cancelled(lambda: end.wait(30), cancelled, grace_s=0.1)
    assert time.monotonic() - begun < 5
    end.set()


def test_work_that_stops_within_its_grace_tells_how_it_ended() -> None:
    cancelled = Event()
    cancelled.set()
    assert until_cancelled(lambda: Event().wait(0.3), cancelled, grace_s=5) is False


def test_both_graces_together_leave_room_within_the_ten_seconds_of_the_engine() -> None:
    assert GRACE_S + LAST_LOOK_S < 10
