"""A simulated Verda project that outlives its server: what it knows beyond its world is written down."""

from pathlib import Path

from pydantic import AwareDatetime

from nodestack.clouds.accounts import Frozen
from nodestack.clouds.local.records import read
from nodestack.clouds.simulated.kept import write_private
from nodestack.clouds.simulated.verda_project import Project
from nodestack.clouds.simulated.verda_words import InstanceAct


class ProjectSnapshot(Frozen):
    """What a project has to know to go on, tokens left out: clients sign in again.

    Attributes:
        keys: Name and public key of each SSH key, by its id.
        scripts: Name and text of each startup script, by its id; a host key is among them.
        trash: Volumes that were deleted but not for good.
        os_disks: The OS volume of each instance.
        scripts_of: The startup script of each instance.
        policies: What becomes of each OS volume when its instance is lost.
        removed: Instances that are told of no more.
        leaving: Instances that are being deleted, until when and how.
    """

    keys: dict[str, tuple[str, str]]
    scripts: dict[str, tuple[str, str]]
    trash: frozenset[str]
    os_disks: dict[str, str]
    scripts_of: dict[str, str | None]
    policies: dict[str, str]
    removed: frozenset[str]
    leaving: dict[str, tuple[AwareDatetime, InstanceAct]]


class KeptProject(Project):
    """A project that writes itself down, readable by its owner alone, before each answer that tells of a change."""

    _file: Path | None = None
    _written = ""

    def keep_in(self, file: Path) -> None:
        """Go on with what the file holds, where there is one, and write every change from now on."""
        kept = read(file, ProjectSnapshot)
        if kept is not None:
            self.keys, self.scripts, self.trash = kept.keys, kept.scripts, set(kept.trash)
            self._os_disks, self._scripts_of, self._policies = kept.os_disks, kept.scripts_of, kept.policies
            self._removed, self._leaving = set(kept.removed), kept.leaving
            for machine_id in self._leaving:
                # No event of the ledger, so the world may not have it.
                self.world.machines[machine_id].shown_status = "deleting"
        self._file = file

    def remember(self) -> None:
        """Write down what changed since the last time."""
        if self._file is None:
            return
        with self.world.lock:
            text = self._snapshot().model_dump_json(indent=2)
            if text != self._written:
                write_private(self._file, text)
                self._written = text

    def _snapshot(self) -> ProjectSnapshot:
        return ProjectSnapshot(
            keys=self.keys,
            scripts=self.scripts,
            trash=frozenset(self.trash),
            os_disks=self._os_disks,
            scripts_of=self._scripts_of,
            policies=self._policies,
            removed=frozenset(self._removed),
            leaving=self._leaving,
        )
