"""Volumes of the local cloud: a sparse file and its record, kept apart from every node."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nodestack.clouds.base import Frozen, Volume, VolumeRequest
from nodestack.clouds.local import disk
from nodestack.clouds.local.cache import locked
from nodestack.clouds.local.records import read, write
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse

GIB = 1 << 30
_ID_BYTES = 4


class VolumeRecord(Frozen):
    """A volume as it is written down; its file lies beside.

    Attributes:
        volume_id: Name and nonce.
        name: As requested.
        size_gib: Size in GiB.
    """

    volume_id: str
    name: str
    size_gib: int


class Volumes:
    """The volumes of one account.

    Args:
        directory: Where files and records lie.
        holder: Tells which living node has a volume attached.
    """

    def __init__(self, directory: Path, holder: Callable[[str], str | None]) -> None:
        self._directory = directory
        self._holder = holder

    def find(self, name: str) -> Volume | None:
        """Return the volume of this name, None when there is none.

        Raises:
            AmbiguousError: Record or file is there without the other.
        """
        record = read(self._record(name), VolumeRecord)
        if record is None:
            return None
        if not self._file(name).exists():
            if self._doomed(record.volume_id).exists():
                return None
            raise AmbiguousError(
                f"volume {name} is recorded but {self._file(name)} is missing: put it back, or remove "
                f"{self._record(name)} to give up what it held"
            )
        return Volume(**record.model_dump(), attached_to=self._holder(record.volume_id))

    def names(self) -> list[str]:
        """Return the names of all volumes that are written down."""
        return sorted(file.stem for file in self._directory.glob("[a-z0-9]*.json"))

    def read(self, volume_id: str) -> Volume | None:
        """Return the volume with this id, None when it is gone; errors as for `find`."""
        volume = self.find(volume_id.rpartition("-")[0])
        return volume if volume is not None and volume.volume_id == volume_id else None

    def create(self, request: VolumeRequest) -> Volume:
        """Make an empty volume.

        Raises:
            CloudError: The name is taken, or the host's disk is too full.
            AmbiguousError: A file of that name holds data nobody recorded.
        """
        with self.locked(request.name):
            if self.find(request.name) is not None:
                raise CloudError(f"volume {request.name} exists: adopt it, or delete it first")
            self._finish_deletion(request.name)
            file = self._file(request.name)
            if file.exists() and file.stat().st_blocks > 0:
                raise AmbiguousError(f"{file} holds data but no record names it: move it away, then try again")
            self._require_space(request.name, request.size_gib)
            record = VolumeRecord(
                volume_id=f"{request.name}-{secrets.token_hex(_ID_BYTES)}",
                name=request.name,
                size_gib=request.size_gib,
            )
            _resize(file, request.size_gib)
            write(self._record(request.name), record)
            return Volume(**record.model_dump())

    def grow(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger, attached or not; the file system on it is its user's to grow.

        Raises:
            CloudError: It is gone, would shrink, or the host's disk is too full.
        """
        name = volume_id.rpartition("-")[0]
        with self.locked(name):
            volume = self.read(volume_id)
            if volume is None:
                raise CloudError(f"volume {volume_id} was to grow to {size_gib} GiB but does not exist: create it")
            if size_gib < volume.size_gib:
                raise CloudError(
                    f"volume {name} has {volume.size_gib} GiB, {size_gib} GiB were asked for: volumes only grow, "
                    f"ask for {volume.size_gib} GiB or more"
                )
            self._require_space(name, size_gib)
            # The file first: a record may never promise more than there is.
            _resize(self._file(name), size_gib)
            disk.refresh_size(self._file(name))
            record = VolumeRecord(volume_id=volume_id, name=name, size_gib=size_gib)
            write(self._record(name), record)
            return Volume(**record.model_dump(), attached_to=volume.attached_to)

    def delete(self, volume_id: str) -> None:
        """Delete a volume with everything on it; one that is gone is no error.

        Raises:
            VolumeInUse: A node has it.
        """
        name = volume_id.rpartition("-")[0]
        with self.locked(name):
            volume = self.read(volume_id)
            if volume is not None:
                if volume.attached_to is not None or disk.devices_of(self._file(name)):
                    raise VolumeInUse(
                        f"volume {name} is attached to node {volume.attached_to or 'of another account'}: "
                        "delete that node first"
                    )
                self._file(name).replace(self._doomed(volume_id))
            self._finish_deletion(name)

    def file(self, volume_id: str) -> Path:
        """Return the file behind a volume."""
        return self._file(volume_id.rpartition("-")[0])

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Keep everybody else from creating, growing, deleting or attaching a volume."""
        with locked(self._directory / f"{name}.lock"):
            yield

    def _finish_deletion(self, name: str) -> None:
        record = read(self._record(name), VolumeRecord)
        if record is not None and self._doomed(record.volume_id).exists():
            self._record(name).unlink()
        for doomed in self._directory.glob(f"{name}-????????.deleted"):
            doomed.unlink()

    def _require_space(self, name: str, size_gib: int) -> None:
        file = self._file(name)
        # A sparse file occupies what was written to it; the rest must still be there when it is.
        occupied = file.stat().st_blocks * 512 if file.exists() else 0
        needed = size_gib * GIB - occupied
        self._directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._directory).free
        if needed > free:
            raise CloudError(
                f"volume {name} of {size_gib} GiB may come to need {needed / GIB:.1f} GiB more on this machine's disk, "
                f"{free / GIB:.1f} GiB are free at {self._directory}: free some, or ask for a smaller volume"
            )

    def _record(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.img"

    def _doomed(self, volume_id: str) -> Path:
        return self._directory / f"{volume_id}.deleted"


def _resize(file: Path, size_gib: int) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size_gib * GIB)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
