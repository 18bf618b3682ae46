"""A journal on disk: private, added to only, whole after any kill, and read by whoever comes next."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodestack.automation.checkout import Checkout
from nodestack.automation.journal import journal
from nodestack.errors import RecoveryError
from nodestack.lifecycle.journal import Entry

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ENTRIES = (
    Entry(at=NOON, what="wanted", because="asked for by hand"),
    Entry(at=NOON, what="node", node_id="a", usd_per_hour=8.4, since=NOON),
    Entry(at=NOON, what="lease", until=NOON, hours=4),
)


def test_what_was_written_is_read_in_order_and_nobody_else_reads_it(tmp_path: Path) -> None:
    book = journal(Checkout(tmp_path), "spot")
    assert book.entries() == ()
    for entry in ENTRIES:
        book.write(entry)
    assert journal(Checkout(tmp_path), "spot").entries() == ENTRIES
    assert book.path.stat().st_mode & 0o777 == 0o600
    assert book.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kept", range(1, 40, 3))
def test_a_kill_in_the_middle_of_a_line_loses_that_line_alone(tmp_path: Path, kept: int) -> None:
    book = journal(Checkout(tmp_path), "spot")
    book.write(ENTRIES[0])
    whole = book.path.read_bytes()
    book.write(ENTRIES[1])
    book.path.write_bytes(whole + book.path.read_bytes()[len(whole) :][:kept])
    book.write(ENTRIES[2])
    assert book.entries() == (ENTRIES[0], ENTRIES[2])


def test_words_of_another_version_are_an_error_and_not_forgotten(tmp_path: Path) -> None:
    book = journal(Checkout(tmp_path), "spot")
    book.write(ENTRIES[0])
    with book.path.open("a", encoding="utf-8") as file:
        file.write('{"at":"2026-11-27T12:00:00Z","what":"teleported"}\n')
    with pytest.raises(RecoveryError, match="has a line of another version"):
        book.memory()
