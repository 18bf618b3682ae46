"""Where things are: a directory for each commit on the volume, links to the current and the former one, and records."""

import os
import re
from pathlib import Path
from typing import NamedTuple

RECORD_NAME = "weights-verified.json"
FORMER_RECORD_NAME = "weights-former.json"
METRICS_NAME = "metrics/weights.prom"
RESULT_NAME = "results/weights.json"
PROGRESS_NAME = "progress.json"
STATE_DIRECTORY = Path("/var/lib/nodestack")
RUN_DIRECTORY = Path("/run/nodestack")
_VERSION = re.compile(r"[^/]+/[0-9a-f]{40}")


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

    @property
    def former(self) -> Path:
        """The link to what was current before: what a rollback goes back to, and what is kept for it."""
        return self.root / "former"

    def is_current(self) -> bool:
        """Return whether `current` points here."""
        return _target(self.current) == self._link_target()

    def make_current(self) -> None:
        """Let `current` point here, in one step, and `former` to where it pointed."""
        before = _target(self.current)
        if before and before != self._link_target() and (self.root / before).is_dir():
            self._point(self.former, before)
        self._point(self.current, self._link_target())
        sync_directory(self.root)

    def kept(self) -> list[Path]:
        """Return the directories of commits that are needed: the current one, the former one, and this one."""
        linked = [self.root / target for link in (self.current, self.former) if (target := _target(link))]
        return [*linked, self.final]

    def former_commit(self) -> str:
        """Return the commit that `former` points at, "" where nothing of it is there."""
        target = _target(self.former)
        return Path(target).name if target and (self.root / target).is_dir() else ""

    def _point(self, link: Path, target: str) -> None:
        beside = self.root / f".{link.name}.{os.getpid()}"
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link)

    def other_commits(self) -> list[Path]:
        """Return the directories of the repository's other commits, which take room on the volume too."""
        if not self.model.is_dir():
            return []
        return sorted(path for path in self.model.iterdir() if path.is_dir() and not path.name.startswith(self.commit))

    def _link_target(self) -> str:
        return str(self.final.relative_to(self.root))


def _target(link: Path) -> str:
    """Return where a link points, "" unless that is the directory of a commit."""
    target = os.readlink(link) if link.is_symlink() else ""
    return target if _VERSION.fullmatch(target) else ""


def sync_directory(directory: Path) -> None:
    """Have the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
