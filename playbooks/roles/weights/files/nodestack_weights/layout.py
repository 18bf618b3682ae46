"""Where things are: one directory a commit on the volume, `current` pointing at one, and the node's own records."""

import os
from pathlib import Path
from typing import NamedTuple

RECORD_NAME = "weights-verified.json"
RESULT_NAME = "results/weights.json"
PROGRESS_NAME = "progress.json"
STATE_DIRECTORY = Path("/var/lib/nodestack")
RUN_DIRECTORY = Path("/run/nodestack")


class Layout(NamedTuple):
    """The places of one commit of one repository.

    Attributes:
        root: Directory of all weights, on the volume.
        repository: "organisation/name".
        commit: 40 hex digits.
    """

    root: Path
    repository: str
    commit: str

    @property
    def model(self) -> Path:
        """Where all commits of the repository are."""
        return self.root / self.repository.replace("/", "--")

    @property
    def final(self) -> Path:
        """The commit's directory: complete, or not there; a file in it is only ever replaced by a verified one."""
        return self.model / self.commit

    @property
    def staging(self) -> Path:
        """What was fetched but is not yet in its place: whole files, and beginnings that end in `.part`."""
        return self.model / f"{self.commit}.staging"

    @property
    def manifest(self) -> Path:
        """The canonical manifest; its digest is the recorded one."""
        return self.model / f"{self.commit}.manifest.json"

    @property
    def current(self) -> Path:
        """The link that the service follows."""
        return self.root / "current"

    def is_current(self) -> bool:
        """Return whether `current` points here."""
        return self.current.is_symlink() and os.readlink(self.current) == self._link_target()

    def make_current(self) -> None:
        """Let `current` point here, in one step."""
        beside = self.root / f".current.{os.getpid()}"
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._link_target())
        beside.replace(self.current)
        sync_directory(self.root)

    def other_commits(self) -> list[Path]:
        """Return the directories of the repository's other commits, which take room on the volume too."""
        if not self.model.is_dir():
            return []
        return sorted(path for path in self.model.iterdir() if path.is_dir() and not path.name.startswith(self.commit))

    def _link_target(self) -> str:
        return str(self.final.relative_to(self.root))


def sync_directory(directory: Path) -> None:
    """Have the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
