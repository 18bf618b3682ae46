"""Verify the current weights against the recorded digest, without a network; the service starts only after this.

Exit 0: every byte is what was recorded. Exit 1: one line on stderr for each file that is not.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nodestack_weights import WeightsError, layout, manifest, metrics, records, tree
from nodestack_weights.manifest import Manifest
from nodestack_weights.records import Record
from nodestack_weights.tree import Finding

_CURE = "run `pulumi up`, which fetches this file again and nothing else"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="verify-weights", description="Verify the current weights offline.")
    parser.add_argument("--state-directory", type=Path, default=layout.STATE_DIRECTORY, help="the node's records")
    options = parser.parse_args(arguments)
    record_path, began = options.state_directory / layout.RECORD_NAME, time.monotonic()
    record, expected = records.read(record_path), None
    try:
        if record is None:
            raise WeightsError(f"{record_path} is not there: no weights were verified on this node; run `pulumi up`")
        expected = _recorded_manifest(record)
        findings = _verify(record, expected, record_path)
        said = [f"{record.directory}/{path} {problem}: {_CURE}" for path, problem in findings]
    except WeightsError as refusal:
        said = [str(refusal)]
    metrics.write(
        options.state_directory,
        record,
        passed=not said,
        size_bytes=expected.size_bytes if expected and not said else 0,
        seconds=time.monotonic() - began,
    )
    for line in said:
        sys.stderr.write(f"{line}\n")
    return 1 if said else 0


def _verify(record: Record, expected: Manifest, record_path: Path) -> list[Finding]:
    """Return what is wrong with the tree, and have the record say which files are not good any more."""
    directory = Path(record.directory)
    good, findings = tree.check(directory, expected.entries, workers=tree.hash_workers())
    seen = record._replace(files={entry.path: good.get(entry.path) for entry in expected.entries})
    if seen != record:
        try:
            seen.write(record_path)
        except OSError as error:
            sys.stderr.write(f"{record_path} could not be updated ({error.strerror}); the verdict holds all the same\n")
    stray = tree.unlisted(directory, expected)
    return findings + [Finding(path, "does not belong to this commit") for path in stray]


def _recorded_manifest(record: Record) -> Manifest:
    expected = manifest.read(Path(record.manifest_path))
    if expected.digest() != record.manifest_sha256:
        raise WeightsError(
            f"{record.manifest_path} has digest {expected.digest()} instead of the recorded {record.manifest_sha256}: "
            "run `pulumi up`"
        )
    places = layout.Layout(Path(record.manifest_path).parent.parent, record.repository, record.commit)
    if not places.is_current():
        raise WeightsError(f"{places.current} does not point at the verified commit {record.commit}: run `pulumi up`")
    return expected


if __name__ == "__main__":
    sys.exit(main())
