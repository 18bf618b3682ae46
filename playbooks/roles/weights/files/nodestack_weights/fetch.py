"""Fetch a pinned commit onto the volume, verify all of it, and only then let it be the current one.

    python -m nodestack_weights.fetch --root /srv/nodestack/weights --endpoint https://huggingface.co \\
        --repository organisation/name --commit <40 hex digits> [--expected-manifest-sha256 HEX] [--token-file FILE]

Prints the result as JSON, which is also kept for the node's status. Exit 0: verified and current; 1: refused or failed,
with one line on stderr that says why; 3: asked to stop, what was fetched is kept. With --check it only says whether
there is anything to do.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nodestack_weights import WeightsError, guard, hub, layout, manifest
from nodestack_weights.assembly import Assembly, Outcome, is_assembled
from nodestack_weights.order import Order
from nodestack_weights.patience import Patience
from nodestack_weights.records import Records
from nodestack_weights.transfer import Stopped

_EXIT_FAILED = 1
_EXIT_STOPPED = 3
_Result = dict[str, str | int | float | bool | list[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    options = _parser().parse_args(arguments)
    os.umask(0o022)
    stop = guard.Stop()
    stop.install()
    began = time.monotonic()
    try:
        order = _order(options)
        if options.check:
            sys.stdout.write(json.dumps({"changed": not is_assembled(order)}) + "\n")
            return 0
        outcome = _run(order, options, stop)
    except Stopped:
        return _say(f"stopped; what was fetched of {options.repository} is kept", _EXIT_STOPPED)
    except WeightsError as refusal:
        _keep(options, {"pass": False, "error": str(refusal)}, began)
        return _say(str(refusal), _EXIT_FAILED)
    except OSError as error:
        text = f"{error.filename or options.root}: {error.strerror or error}: look at the volume, then run again"
        _keep(options, {"pass": False, "error": text}, began)
        return _say(text, _EXIT_FAILED)
    result = _keep(options, _describe(outcome, began), began)
    sys.stdout.write(json.dumps({**result, "changed": outcome.changed}) + "\n")
    return 0


def _order(options: argparse.Namespace) -> Order:
    hub.refuse_movable(options.commit)
    token = options.token_file.read_text().strip() if options.token_file else ""
    return Order(
        source=hub.Source(options.endpoint.rstrip("/"), options.repository, options.commit, token or None),
        places=layout.Layout(options.root, options.repository, options.commit),
        expected_manifest_sha256=options.expected_manifest_sha256,
        records=Records(options.state_directory),
        workers=options.workers,
        patience=Patience(stall_s=options.stall_s),
        limit_bytes_per_s=options.limit_mbit_s * 1e6 / 8,
    )


def _run(order: Order, options: argparse.Namespace, stop: guard.Stop) -> Outcome:
    progress = guard.Progress(options.run_directory / layout.PROGRESS_NAME)
    with guard.alone(order.places.root / ".lock"), progress.shown():
        return Assembly(order, stop, progress).run()


def _describe(outcome: Outcome, began: float) -> _Result:
    return {
        "pass": True,
        "manifest_sha256": outcome.manifest.digest(),
        "files": len(outcome.manifest.entries),
        "bytes": outcome.manifest.size_bytes,
        "fetched_files": [entry.path for entry in outcome.fetched],
        "fetched_bytes": sum(entry.size for entry in outcome.fetched),
        "fetch_seconds": round(outcome.on_disk_at - began, 2) if outcome.on_disk_at else 0.0,
        "hub": outcome.hub,
        "former_commit": outcome.former_commit,
        "freed_bytes": outcome.collected.freed_bytes,
        "removed": list(outcome.collected.removed),
    }


def _keep(options: argparse.Namespace, result: _Result, began: float) -> _Result:
    """Add what is known of every run, and keep the result for the node's status."""
    nothing: _Result = {"manifest_sha256": "", "files": 0, "bytes": 0, "fetched_files": [], "fetched_bytes": 0}
    asked: _Result = {"repository": options.repository, "commit": options.commit}
    whole = {**nothing, **asked, **result, "seconds": round(time.monotonic() - began, 2)}
    manifest.replace_file(options.state_directory / layout.RESULT_NAME, (json.dumps(whole, indent=1) + "\n").encode())
    return whole


def _say(text: str, status: int) -> int:
    sys.stderr.write(" ".join(text.split()) + "\n")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fetch-weights", description="Fetch and verify the pinned weights.")
    parser.add_argument("--root", type=Path, required=True, help="directory of all weights, on the volume")
    parser.add_argument("--endpoint", required=True, help="the hub, e.g. https://huggingface.co")
    parser.add_argument("--repository", required=True, help="organisation/name")
    parser.add_argument("--commit", required=True, help="40 hex digits")
    parser.add_argument("--expected-manifest-sha256", default="", help="digest recorded for this commit before")
    parser.add_argument("--token-file", type=Path, help="file with the hub token; read, never shown")
    parser.add_argument("--check", action="store_true", help="say whether there is anything to do, and do nothing")
    parser.add_argument("--workers", type=int, default=4, help="how many files are fetched at once")
    parser.add_argument("--limit-mbit-s", type=float, default=0.0, help="bandwidth of all files together; 0 for all")
    parser.add_argument(
        "--stall-s", type=float, default=30.0, help="seconds without data until a connection is dropped"
    )
    parser.add_argument("--state-directory", type=Path, default=layout.STATE_DIRECTORY, help="the node's records")
    parser.add_argument("--run-directory", type=Path, default=layout.RUN_DIRECTORY, help="where progress is shown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
