"""A repository of large files and a hub that has it, for the benchmarks of fetching and verifying."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = "benchmarks/weights"
COMMIT = "b" * 40
HUB_PORT, FILES_PORT = 8190, 8191
HUB, FILES = f"http://127.0.0.1:{HUB_PORT}", f"http://127.0.0.1:{FILES_PORT}"
LISTING = f"{HUB}/api/models/{REPOSITORY}?blobs=true"
_PIECE_BYTES = 16 << 20


def names(shards: int) -> list[str]:
    """Return the names of the large files."""
    return [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]


def make(root: Path, shards: int, shard_bytes: int) -> Path:
    """Make the repository below a hub's root, of bytes that nothing compresses; return the commit's directory.

    The shards are one file by several names: the server has it in memory once, and the clients know nothing of that.
    """
    commit = root / REPOSITORY / COMMIT
    commit.mkdir(parents=True)
    (commit / "config.json").write_text("{}")
    first, *others = (commit / name for name in names(shards))
    with first.open("wb") as file:
        while (left := shard_bytes - file.tell()) > 0:
            file.write(secrets.token_bytes(min(left, _PIECE_BYTES)))
    for other in others:
        other.hardlink_to(first)
    (commit.parent / "refs.json").write_text(json.dumps({"main": COMMIT}))
    return commit


def _wait_until_it_listed(hub: subprocess.Popen[bytes], command: Sequence[str]) -> None:
    """Have the hub hash its files before anybody's time runs."""
    while subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        if hub.poll() is not None:
            raise RuntimeError("the hub ended before it answered")
        time.sleep(0.2)


@contextmanager
def serving(root: Path, log: Path, inside: Sequence[str] = ()) -> Iterator[None]:
    """Have a hub and the server of its large files run.

    Args:
        root: The hub's root.
        log: Gets the hub's requests.
        inside: A command that runs another in the network it is for, e.g. nsenter.
    """
    python = [*inside, sys.executable, "-P"]
    hub = ["-m", "nodestack.clouds.local.hub", "--port", str(HUB_PORT), "--root", str(root), "--log", str(log)]
    files = [str(Path(__file__).with_name("file_server.py")), str(root), str(FILES_PORT)]
    with (
        subprocess.Popen([*python, *hub, "--large-files-at", FILES]) as first,
        subprocess.Popen([*python, *files]) as second,
    ):
        try:
            _wait_until_it_listed(
                first, [*inside, "curl", "--silent", "--fail", f"{HUB}/api/models/{REPOSITORY}?blobs=true"]
            )
            yield
        finally:
            for process in (first, second):
                process.terminate()
