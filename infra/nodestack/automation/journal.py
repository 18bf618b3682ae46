"""A stack's journal on disk: JSON lines that are only ever added to, each there whole before what it says is done."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nodestack.automation import private
from nodestack.automation.checkout import Checkout
from nodestack.errors import RecoveryError
from nodestack.lifecycle.journal import Entry, Memory, remembered


@dataclass(frozen=True)
class Journal:
    """The journal of one stack.

    Attributes:
        path: Its file; made by the first entry.
    """

    path: Path

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries in order; a line that a kill cut off is none.

        Raises:
            RecoveryError: A line says what this version does not know.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        return tuple(entry for line in lines if (entry := self._entry(line)) is not None)

    def memory(self) -> Memory:
        """Return what the entries come to; raises as `entries` does."""
        return remembered(self.entries())

    def write(self, entry: Entry) -> None:
        """Add an entry; once this returns, no kill and no power cut takes it away."""
        self.path.parent.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, private.FILE)
        try:
            size = os.fstat(descriptor).st_size
            cut_off = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            line = entry.model_dump_json(exclude_defaults=True)
            os.write(descriptor, f"{chr(10) if cut_off else ''}{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _entry(self, line: str) -> Entry | None:
        try:
            return Entry.model_validate(json.loads(line))
        except json.JSONDecodeError:
            return None
        except ValidationError as unknown:
            raise RecoveryError(
                f"{self.path} has a line of another version of nodestack ({line[:80]}): use that one, or move the file "
                "away and run `nodestack up`"
            ) from unknown


def journal(checkout: Checkout, stack: str) -> Journal:
    """Return the journal of a stack."""
    return Journal(checkout.state / "watch" / f"{stack}.jsonl")
