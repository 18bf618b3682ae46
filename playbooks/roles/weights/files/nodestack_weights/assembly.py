"""From what is on the volume and what the hub lists to a verified commit that is the current one."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from nodestack_weights import WeightsError, garbage, manifest, room, tree
from nodestack_weights.garbage import Collected
from nodestack_weights.guard import Progress, Stop
from nodestack_weights.hub import Listed
from nodestack_weights.layout import sync_directory
from nodestack_weights.manifest import Entry, Manifest
from nodestack_weights.order import Order
from nodestack_weights.parallel import Fetching
from nodestack_weights.records import Record, Stamp, kept_manifest, stamp
from nodestack_weights.transfer import Stopped

_LISTING_TIMEOUT_S = 60.0


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        manifest: What the commit consists of, all of it verified.
        fetched: What had to be fetched.
        changed: Whether anything on the node is not as before.
        hub: "asked", or why the hub was not needed, or its word could not be had.
        collected: What was removed because nobody needs it.
        former_commit: What a rollback would find verified on the volume; "" for nothing.
        on_disk_at: When the last byte that was fetched was on the disk, on the monotonic clock; None where none was.
    """

    manifest: Manifest
    fetched: tuple[Entry, ...]
    changed: bool
    hub: str
    collected: Collected
    former_commit: str
    on_disk_at: float | None


class Assembly:
    """Carries out one order."""

    def __init__(self, order: Order, stop: Stop, progress: Progress) -> None:
        self._order = order
        self._places = order.places
        self._stop = stop
        self._progress = progress
        self._collected = Collected()
        self._fetching = Fetching(order, stop, progress)

    def run(self) -> Outcome:
        """Bring the volume up to date; each step leaves what was verified before as it was.

        Raises:
            WeightsError: It cannot be done; the message says why.
            Stopped: The run was asked to end.
        """
        found, hub = self._manifest()
        stamps = self._order.records.untouched(self._places, found)
        suspects = [entry for entry in found.entries if entry.path not in stamps]
        stamps |= self._verified(self._places.final, suspects, "verifying")
        missing = [entry for entry in suspects if entry.path not in stamps]
        self._fetch(missing)
        removed = self._publish(found, missing)
        changed = self._record(found, stamps, missing) or removed or bool(self._fetching.fetched)
        if not self._places.is_current():
            self._places.make_current()
            self._collect()
            changed = True
        fetched, former = tuple(sorted(self._fetching.fetched)), self._places.former_commit()
        return Outcome(found, fetched, changed, hub, self._collected, former, self._fetching.on_disk_at)

    def _manifest(self) -> tuple[Manifest, str]:
        """Return what the commit must consist of, and how that is known."""
        kept = kept_manifest(self._places)
        if kept is not None and self._may_go_back_to(kept):
            return kept, "not needed: this node verified the commit before, and nothing was touched since"
        # Imported when needed: the hub's client takes longer than the whole way back to a former commit.
        from nodestack_weights.listing import list_files  # noqa: PLC0415

        order = self._order
        try:
            listed = list_files(order.source, _LISTING_TIMEOUT_S, order.patience, self._end_if_stopped)
            found = self._manifest_of(listed)
        except WeightsError as refusal:
            expected = order.expected_manifest_sha256
            if kept is not None and expected and kept.digest() != expected:
                raise WeightsError(
                    f"{refusal}; the manifest on the volume cannot stand in for the hub's: it has digest "
                    f"{kept.digest()} instead of the recorded {expected}"
                ) from refusal
            if kept is None or not expected or not self._is_complete(kept):
                raise
            # The recorded digest says all that the hub could: a hub that is away, or forgot the commit, stops nobody.
            return kept, str(refusal)
        self._refuse_changed(found)
        return found, "asked"

    def _may_go_back_to(self, kept: Manifest) -> bool:
        """Return whether this is a rollback to what this very node has verified: that must work without a hub."""
        order, places = self._order, self._places
        if places.is_current() or order.expected_manifest_sha256 not in ("", kept.digest()):
            return False
        return len(order.records.untouched(places, kept)) == len(kept.entries)

    def _refuse_changed(self, found: Manifest) -> None:
        kept = kept_manifest(self._places)
        recorded = self._order.expected_manifest_sha256 or (kept.digest() if kept else "")
        if recorded and found.digest() != recorded:
            raise WeightsError(
                f"the hub lists other files under commit {found.commit} of {found.repository} than were recorded "
                f"(manifest {found.digest()} instead of {recorded}): nothing was replaced; choose another commit"
            )

    def _is_complete(self, kept: Manifest) -> bool:
        seen = ((stamp(self._places.final / entry.path), entry.size) for entry in kept.entries)
        return all(now is not None and now[0] == size for now, size in seen)

    def _manifest_of(self, listed: Sequence[Listed]) -> Manifest:
        """Return the manifest of a listing; small files are fetched for it, since git's id of them is no SHA-256."""
        absent = [file for file in listed if file.sha256 is None and self._place_of_small(file) is None]
        total = sum(file.size for file in absent)
        self._make_room(total)
        transport = self._fetching.begin("fetching the small files", total, 0)
        for file in absent:
            part = self._fetching.part(file.path)
            part.unlink(missing_ok=True)
            transport.fetch(file.path, file.size, part)
            if not file.is_content_of(part):
                raise WeightsError(
                    f"{file.path} is not what the hub itself lists under {file.blob_id}: try another hub"
                )
            part.replace(self._places.staging / file.path)
        entries = {file.path: Entry(file.path, file.size, file.sha256 or self._hash_of_small(file)) for file in listed}
        self._fetching.fetched += [entries[file.path] for file in absent]
        return manifest.make(self._places.repository, self._places.commit, entries.values())

    def _place_of_small(self, file: Listed) -> Path | None:
        places = (self._places.final / file.path, self._places.staging / file.path)
        return next((place for place in places if file.is_content_of(place)), None)

    def _hash_of_small(self, file: Listed) -> str:
        place = self._place_of_small(file)
        if place is None:
            raise WeightsError(f"{file.path} changed on {self._places.root} while it was read: run again")
        return tree.sha256(place)

    def _verified(self, directory: Path, entries: Iterable[Entry], text: str) -> dict[str, Stamp]:
        present = [entry for entry in entries if stamp(directory / entry.path)]
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
        begun = sum(min(room.size_of(self._fetching.part(entry.path)), entry.size) for entry in wanted)
        self._make_room(total - begun)
        self._fetching.fetch(wanted, self._fetching.begin("fetching", total, begun))

    def _make_room(self, needed_bytes: int) -> None:
        """Remove what nobody needs if the volume is too full otherwise; refuse if that does not help."""
        if not room.is_enough(self._places, needed_bytes):
            self._collect()
            room.refuse_if_short(self._places, needed_bytes)

    def _collect(self) -> None:
        self._collected += garbage.collect(self._places)

    def _end_if_stopped(self) -> None:
        if self._stop():
            raise Stopped

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

    def _record(self, found: Manifest, stamps: dict[str, Stamp], missing: Sequence[Entry]) -> bool:
        """Record what is good now; return whether that is news."""
        fresh = {entry.path: stamp(self._places.final / entry.path) for entry in missing}
        record = Record(
            directory=str(self._places.final),
            manifest_path=str(self._places.manifest),
            repository=self._places.repository,
            commit=self._places.commit,
            manifest_sha256=found.digest(),
            files=dict(sorted({**stamps, **fresh}.items())),
        )
        return self._order.records.keep(record)


def is_assembled(order: Order) -> bool:
    """Return whether the commit is current and nothing was touched since this node verified it; changes nothing."""
    places, kept = order.places, kept_manifest(order.places)
    if kept is None or not places.is_current() or order.expected_manifest_sha256 not in ("", kept.digest()):
        return False
    is_whole = len(order.records.untouched(places, kept)) == len(kept.entries)
    return is_whole and not tree.unlisted(places.final, kept)


def _remove_unlisted(directory: Path, found: Manifest) -> bool:
    paths = tree.unlisted(directory, found)
    for path in paths:
        (directory / path).unlink()
    return bool(paths)
