"""For how long no client asked: by the node's own words and clock, and never guessed."""

import pytest

from nodestack.errors import ReachError
from nodestack.provisioning import idle

ASKED = '{"time":"2026-11-27T14:00:00+02:00","request_id":"r","key":"default","status":200}'
NOON = 1795780800
"""2026-11-27T12:00:00Z."""


@pytest.mark.parametrize(
    ("applied", "connected", "log", "seconds"),
    [
        (NOON - 9000, 0, ASKED, 60),
        (NOON - 9000, 1, ASKED, 0),
        (NOON + 30, 0, ASKED, 30),
        (NOON - 900, 0, "{}", 960),
        (NOON - 900, 0, "-- No entries --\n{}", 960),
        (NOON + 90, 0, "{}", 0),
    ],
)
def test_the_later_of_request_and_configuration_counts(applied: int, connected: int, log: str, seconds: float) -> None:
    assert idle.told(f"{NOON + 60}\n{applied}\n{connected}\n{log}\n") == seconds


@pytest.mark.parametrize("text", ["", "1\n2\n", "a\nb\nc\n{}\n", '1\n2\n0\n{"key":"default"}\n', "1\n2\n0\n{broken\n"])
def test_an_answer_that_cannot_be_read_is_no_idleness(text: str) -> None:
    with pytest.raises(ReachError, match="nothing of its clients that can be read"):
        idle.told(text)
