"""What served well, kept until the next one has: a newer configuration that fails is taken back for it.

`keep` remembers what runs now, once it has proved itself. `return` has it serve again, and says in one line what failed
and what became of it. Both print {"changed", "message"}.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodestack_vllm import EngineError, unit
from nodestack_vllm.progress import Progress, read_json, replace_file
from nodestack_vllm.start import PROGRESS, STATE_DIRECTORY, Service, fingerprint, kept_path, record_path, start

_CURE = "correct it and run again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="former", description="Keep what serves well, or return to it.")
    parser.add_argument("what", choices=["keep", "return"])
    parser.add_argument("--file", type=Path, action="append", default=[], help="file or link to keep; may be missing")
    parser.add_argument("--along", type=Path, action="append", default=[], help="the same, of what is only about it")
    parser.add_argument("--why", default="", help="what failed")
    parser.add_argument("--state-directory", type=Path, default=STATE_DIRECTORY)
    parser.add_argument("--progress", type=Path, default=PROGRESS)
    given = parser.parse_args(arguments)
    if given.what == "keep":
        changed, message = keep(given.file, given.along, given.state_directory), ""
    else:
        with Progress(given.progress) as progress:
            changed, message = restore(given.why, given.state_directory, progress)
    print(json.dumps({"changed": changed, "message": message}))
    return 0


def keep(files: Sequence[Path], along: Sequence[Path], state_directory: Path) -> bool:
    """Remember what runs and what it was started from; return whether that was news.

    Args:
        files: Text files and links that make it what it is, none with a secret; one has to differ for a return.
        along: Text files about it, which are restored with those.
        state_directory: The node's records.
    """
    record = read_json(record_path(state_directory))
    if not record:
        return False
    service = Service.of(record["service"])
    # Somebody may have changed a file since: then what runs is not what would be restored.
    if unit.state(service.unit).active != "active" or fingerprint(service.made_from) != record["fingerprint"]:
        return False
    content = {
        "service": record["service"],
        "files": {str(path): _content(path) for path in files},
        "along": {str(path): _content(path) for path in along},
    }
    kept = kept_path(state_directory)
    if read_json(kept) == content:
        return False
    replace_file(kept, json.dumps(content) + "\n")
    return True


def restore(why: str, state_directory: Path, progress: Progress) -> tuple[bool, str]:
    """Have the former one serve again; return whether that changed anything, and the whole story in one line.

    Args:
        why: What failed.
        state_directory: The node's records.
        progress: Where it is shown.
    """
    kept = read_json(kept_path(state_directory))
    if not kept:
        return False, why
    decisive, along = _paths(kept["files"]), _paths(kept["along"])
    if all(_content(path) == content for path, content in decisive.items()):
        # What failed is the former one itself.
        return False, why
    for path, content in {**along, **decisive}.items():
        if _content(path) != content:
            _write(path, content)
    service = Service.of(kept["service"])
    unit.systemctl("daemon-reload")
    began = time.monotonic()
    try:
        started = start(service, state_directory, progress, failure=why)
    except EngineError as error:
        return True, f"{why}; the former one does not serve either: {error}"
    version = service.result.get("version", "")
    how = f"serves again after {time.monotonic() - began:.0f} s" if started else "goes on serving"
    return True, f"{why}; the former one, vLLM {version} with its options and weights, {how}: {_CURE}"


def _paths(contents: dict[str, Any]) -> dict[Path, Any]:
    return {Path(name): content for name, content in contents.items()}


def _content(path: Path) -> dict[str, Any] | None:
    """Return what a file is: a link's target, or mode and text; None where it is missing."""
    if path.is_symlink():
        return {"link": os.readlink(path)}
    try:
        return {"mode": path.stat().st_mode & 0o777, "text": path.read_text(encoding="utf-8")}
    except FileNotFoundError:
        return None


def _write(path: Path, content: dict[str, Any] | None) -> None:
    """Make a file what it was; no reader ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    if content is None:
        path.unlink(missing_ok=True)
        return
    if "link" in content:
        beside.symlink_to(content["link"])
    else:
        beside.write_text(content["text"], encoding="utf-8")
        beside.chmod(content["mode"])
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
