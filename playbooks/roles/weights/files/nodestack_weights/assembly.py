"""From what is on the volume and what the hub lists to a verified commit that is the current one."""

import errno
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from nodestack_weights import WeightsError, manifest, room, tree
from nodestack_weights.guard import Progress, Stop
from nodestack_weights.hub import Listed, Source
from nodestack_weights.layout import Layout, sync_directory
from nodestack_weights.manifest import Entry, Manifest
from nodestack_weights.transfer import Patience, Stopped, Transport
from nodestack_weights.tree import Record, Stamp

_LISTING_TIMEOUT_S = 60.0


class Order(NamedTuple):
    """What is asked for.

    Attributes:
        source: The commit on its hub.
        places: Where it goes.
        expected_manifest_sha256: Digest recorded for the commit before; "" when there is none.
        record_path: Where this node records what it verified.
        workers: How many files are fetched at once.
        patience: How long to bear with a transfer.
    """

    source: Source
    places: Layout
    expected_manifest_sha256: str
    record_path: Path
    workers: int
    patience: Patience


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        manifest: What the commit consists of, all of it verified.
        fetched: What had to be fetched.
        changed: Whether anything on the node is not as before.
        hub: "asked", or why the hub's word could not be had and the recorded digest had to do.
    """

    manifest: Manifest
    fetched: tuple[Entry, ...]
    changed: bool
    hub: str


class Assembly:
    """Carries out one order."""

    def __init__(self, order: Order, stop: Stop, progress: Progress) -> None:
        self._order = order
        self._places = order.places
        self._stop = stop
        self._failed = threading.Event()
        self._progress = progress
        self._fetched: list[Entry] = []

    def run(self) -> Outcome:
        """Bring the volume up to date; each step leaves what was verified before as it was.

        Raises:
            WeightsError: It cannot be done; the message says why.
            Stopped: The run was asked to end.
        """
        found, hub = self._manifest()
        previous = tree.read_record(self._order.record_path)
        stamps = self._untouched(found, previous)
        suspects = [entry for entry in found.entries if entry.path not in stamps]
        stamps |= self._verified(self._places.final, suspects, "verifying")
        missing = [entry for entry in suspects if entry.path not in stamps]
        self._fetch(missing)
        removed = self._publish(found, missing)
        changed = self._record(found, stamps, missing, previous) or removed or bool(self._fetched)
        if not self._places.is_current():
            self._places.make_current()
            changed = True
        return Outcome(found, tuple(sorted(self._fetched)), changed, hub)

    def _manifest(self) -> tuple[Manifest, str]:
        """Return what the commit must consist of, and how that is known."""
        try:
            found = self._manifest_of(self._order.source.list_files(_LISTING_TIMEOUT_S))
        except WeightsError as refusal:
            kept = self._kept_manifest()
            if kept is None or kept.digest() != self._order.expected_manifest_sha256 or not self._is_complete(kept):
                raise
            # The recorded digest says all that the hub could: a hub that is away, or forgot the commit, stops nobody.
            return kept, str(refusal)
        self._refuse_changed(found)
        return found, "asked"

    def _refuse_changed(self, found: Manifest) -> None:
        kept = self._kept_manifest()
        recorded = self._order.expected_manifest_sha256 or (kept.digest() if kept else "")
        if recorded and found.digest() != recorded:
            raise WeightsError(
                f"the hub lists other files under commit {found.commit} of {found.repository} than were recorded "
                f"(manifest {found.digest()} instead of {recorded}): nothing was replaced; choose another commit"
            )

    def _kept_manifest(self) -> Manifest | None:
        try:
            kept = manifest.read(self._places.manifest)
        except WeightsError:
            return None
        return kept if (kept.repository, kept.commit) == (self._places.repository, self._places.commit) else None

    def _is_complete(self, kept: Manifest) -> bool:
        stamps = ((tree.stamp(self._places.final / entry.path), entry.size) for entry in kept.entries)
        return all(stamp is not None and stamp[0] == size for stamp, size in stamps)

    def _manifest_of(self, listed: Sequence[Listed]) -> Manifest:
        """Return the manifest of a listing; small files are fetched for it, since git's id of them is no SHA-256."""
        absent = [file for file in listed if file.sha256 is None and self._place_of_small(file) is None]
        total = sum(file.size for file in absent)
        room.refuse_if_short(self._places, total)
        transport = self._transport("fetching the small files", total, 0)
        for file in absent:
            part = self._part(file.path)
            part.unlink(missing_ok=True)
            transport.fetch(file.path, file.size, part)
            if not file.is_content_of(part):
                raise WeightsError(
                    f"{file.path} is not what the hub itself lists under {file.blob_id}: try another hub"
                )
            part.replace(self._places.staging / file.path)
        entries = {file.path: Entry(file.path, file.size, file.sha256 or self._hash_of_small(file)) for file in listed}
        self._fetched += [entries[file.path] for file in absent]
        return manifest.make(self._places.repository, self._places.commit, entries.values())

    def _place_of_small(self, file: Listed) -> Path | None:
        places = (self._places.final / file.path, self._places.staging / file.path)
        return next((place for place in places if file.is_content_of(place)), None)

    def _hash_of_small(self, file: Listed) -> str:
        place = self._place_of_small(file)
        if place is None:
            raise WeightsError(f"{file.path} changed on {self._places.root} while it was read: run again")
        return tree.sha256(place)

    def _untouched(self, found: Manifest, previous: Record | None) -> dict[str, Stamp]:
        """Return the stamps of files that this node verified before and that nothing touched since."""
        known = (str(self._places.final), found.digest())
        if previous is None or (previous.directory, previous.manifest_sha256) != known:
            return {}
        seen = {entry.path: tree.stamp(self._places.final / entry.path) for entry in found.entries}
        return {path: stamp for path, stamp in seen.items() if stamp is not None and previous.files.get(path) == stamp}

    def _verified(self, directory: Path, entries: Iterable[Entry], text: str) -> dict[str, Stamp]:
        present = [entry for entry in entries if tree.stamp(directory / entry.path)]
        on_bytes = self._progress.begin(text, sum(entry.size for entry in present))
        good, _ = tree.check(directory, present, workers=tree.hash_workers(), on_bytes=on_bytes, cancelled=self._stop)
        if self._stop():
            raise Stopped
        return good

    def _fetch(self, missing: Sequence[Entry]) -> None:
        """Have each of these files in the staging directory, whole and verified."""
        staged = self._verified(self._places.staging, missing, "verifying what was fetched before")
        wanted = [entry for entry in missing if entry.path not in staged]
        total = sum(entry.size for entry in wanted)
        begun = sum(min(room.size_of(self._part(entry.path)), entry.size) for entry in wanted)
        room.refuse_if_short(self._places, total - begun)
        transport = self._transport("fetching", total, begun)
        with ThreadPoolExecutor(self._order.workers) as pool:
            running = [pool.submit(self._fetch_or_end_others, transport, entry) for entry in wanted]
        errors = [error for future in running if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
            raise error

    def _fetch_or_end_others(self, transport: Transport, entry: Entry) -> None:
        try:
            self._fetch_one(transport, entry)
        except BaseException:
            self._failed.set()
            raise

    def _fetch_one(self, transport: Transport, entry: Entry) -> None:
        part = self._part(entry.path)
        continued = room.size_of(part) > 0
        while True:
            try:
                transport.fetch(entry.path, entry.size, part)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise room.shortage(self._places, entry.size - room.size_of(part)) from error
                raise
            found = tree.sha256(part)
            if found == entry.sha256:
                part.replace(self._places.staging / entry.path)
                self._fetched.append(entry)
                return
            transport.on_bytes(-entry.size)
            part.unlink()
            if not continued:
                raise WeightsError(f"{entry.path} came with SHA-256 {found} instead of {entry.sha256}: try another hub")
            # What it was continued from may have been damaged: once more, all of it.
            continued = False

    def _transport(self, text: str, total_bytes: int, done_bytes: int) -> Transport:
        on_bytes = self._progress.begin(text, total_bytes, done_bytes)
        return Transport(
            self._order.source, self._order.patience, on_bytes, lambda: self._stop() or self._failed.is_set()
        )

    def _part(self, path: str) -> Path:
        return self._places.staging / f"{path}.part"

    def _publish(self, found: Manifest, missing: Sequence[Entry]) -> bool:
        """Put what was fetched into its place; return whether something was there that the commit does not have."""
        places = self._places
        if not places.manifest.is_file() or places.manifest.read_bytes() != found.canonical():
            manifest.replace_file(places.manifest, found.canonical())
        if missing and not places.final.exists():
            _remove_unlisted(places.staging, found)
            places.staging.rename(places.final)
        for entry in missing:
            staged = places.staging / entry.path
            if staged.exists():
                target = places.final / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(target)
        if places.staging.exists():
            shutil.rmtree(places.staging)
        sync_directory(places.final)
        sync_directory(places.model)
        return _remove_unlisted(places.final, found)

    def _record(
        self, found: Manifest, stamps: dict[str, Stamp], missing: Sequence[Entry], previous: Record | None
    ) -> bool:
        """Record what is good now; return whether that is news."""
        fresh = {entry.path: tree.stamp(self._places.final / entry.path) for entry in missing}
        record = Record(
            directory=str(self._places.final),
            manifest_path=str(self._places.manifest),
            repository=self._places.repository,
            commit=self._places.commit,
            manifest_sha256=found.digest(),
            files=dict(sorted({**stamps, **fresh}.items())),
        )
        if record == previous:
            return False
        record.write(self._order.record_path)
        return True


def _remove_unlisted(directory: Path, found: Manifest) -> bool:
    paths = tree.unlisted(directory, found)
    for path in paths:
        (directory / path).unlink()
    return bool(paths)
