"""The lines of the verdict: what was looked at, expected and seen, and what to do where it differs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

REPLACE = "ask the provider to replace the node"

Fault = tuple[str, str]
"""Which part of the node shows it, and what was seen there."""


class Entry(NamedTuple):
    """What one check found.

    Attributes:
        check: What was looked at; the same for each node.
        subject: Which part of the node it is about; "" for the whole.
        expected: What had to be seen.
        seen: What was seen.
        passed: Whether that will do.
        remedy: What to do, or to ask the provider for; "" where it passed.
    """

    check: str
    subject: str
    expected: str
    seen: str
    passed: bool
    remedy: str

    @property
    def title(self) -> str:
        """The check and the part of the node it is about."""
        return f"{self.check} {self.subject}".rstrip()

    def document(self) -> dict[str, object]:
        """Return the entry as the verdict holds it."""
        return {
            "check": self.title,
            "expected": self.expected,
            "seen": self.seen,
            "pass": self.passed,
            "remedy": self.remedy,
        }


def passed(check: str, expected: str, seen: str = "") -> Entry:
    """Return the entry of a check that found what it expected."""
    return Entry(check, "", expected, seen or expected, True, "")


def failed(check: str, expected: str, seen: str, remedy: str, subject: str = "") -> Entry:
    """Return the entry of a check that found something else."""
    return Entry(check, subject, expected, seen, False, remedy)


def compared(check: str, expected: str, faults: Iterable[Fault], remedy: str) -> list[Entry]:
    """Return one entry where nothing is wrong, else one for each thing that was seen, with all that show it."""
    alike: dict[str, list[str]] = {}
    for subject, seen in faults:
        alike.setdefault(seen, []).append(subject)
    entries = [failed(check, expected, seen, remedy, ", ".join(names)) for seen, names in alike.items()]
    return entries or [passed(check, expected)]


def all_well(entries: Sequence[Entry]) -> bool:
    """Return whether there are checks and all have passed."""
    return bool(entries) and all(entry.passed for entry in entries)
