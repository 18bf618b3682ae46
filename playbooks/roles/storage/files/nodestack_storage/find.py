"""Find the weights volume of this node and print it as one JSON object; format it when asked to and it is blank.

Exit 0: it was found. Exit 1: one line on stderr says what there is instead, and what to do.
"""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from nodestack_storage import Candidate, Refused, contents
from nodestack_storage.choose import Wish, choose, none_fits
from nodestack_storage.disks import Disks
from nodestack_storage.shares import Shares

_POLL_S = 2.0
_MAY_GROW = "choose another volume, or empty this one yourself"
_NOT_THE_ONE = "it is not the volume, correct the device"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        found = named(options) if options.device else probed(options)
        state: str = found.state
        if options.format and found.state == "blank" and found.kind == "block":
            found, state = formatted(options, found), "formatted"
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    print(
        json.dumps(
            {
                "kind": found.kind,
                "source": found.source,
                "what": _lasting(options, found),
                "file_system": contents.FILE_SYSTEM if found.kind == "block" else found.kind,
                "state": state,
                "size_bytes": found.size_bytes,
            }
        )
    )
    return 0


def named(options: argparse.Namespace) -> Candidate:
    """Return the device that was named, and nothing else.

    Raises:
        Refused: It is not there, or not to be had.
    """
    path: Path = options.root / options.device.lstrip("/")
    if not path.is_block_device():
        there = "no block device" if path.exists() else "not there"
        raise Refused(
            f"The weights volume should be {options.device}, which is {there}: attach the volume, "
            "or correct the device."
        )
    found = Disks(options.root, options.label, options.mount_point).judge(options.device)
    if found.state == "unfit":
        remedy = _MAY_GROW if found.why.startswith("is neither") else _NOT_THE_ONE
        raise Refused(f"The weights volume {found.source} {found.why}: {remedy}.")
    return found


def probed(options: argparse.Namespace) -> Candidate:
    """Return the one volume that this node has, waiting for it where none fits yet.

    Raises:
        Refused: None came, or two fit.
    """
    wish, deadline = Wish(options.size_gib, options.handle), time.monotonic() + options.wait_s
    while True:
        seen = Disks(options.root, options.label, options.mount_point).candidates()
        seen += Shares(options.root, options.label, options.mount_point).candidates(options.handle)
        found = choose(seen, wish)
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise none_fits(seen, wish)
        time.sleep(min(_POLL_S, options.wait_s))


def formatted(options: argparse.Namespace, found: Candidate) -> Candidate:
    """Return a blank device with our file system on it.

    Raises:
        Refused: It could not be made, or is not what was made.
    """
    path: Path = options.root / found.source.lstrip("/")
    contents.make(path, options.label, str(uuid.uuid4()), found.size_bytes)
    made = Disks(options.root, options.label, options.mount_point).judge(found.source)
    if made.state != "ours":
        raise Refused(f"{made} right after it was formatted: look at the kernel's log of this node")
    return made


def _lasting(options: argparse.Namespace, found: Candidate) -> str:
    """Return what a mount unit should name: after a reboot a disk that was found may have another letter."""
    udev_runs = (options.root / "run/udev/control").exists()
    return f"/dev/disk/by-uuid/{found.uuid}" if found.uuid and udev_runs and not options.device else found.source


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="find-volume", description="Find the weights volume of this node.")
    parser.add_argument("--device", default="", help="its path; without one it is looked for")
    parser.add_argument("--size-gib", type=int, default=0, help="its size; 0 when unknown")
    parser.add_argument("--handle", default="", help="what the cloud calls it: serial number, tag or host:/path")
    parser.add_argument("--label", required=True, help="label or mark of a volume that is ours")
    parser.add_argument("--mount-point", required=True, help="where it may be mounted already")
    parser.add_argument("--wait-s", type=float, default=0, help="seconds to wait for one that is being attached")
    parser.add_argument("--format", action="store_true", help="make the file system when nothing at all is there")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where /dev, /sys, /proc, /etc and /run are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
