"""When bytes are hashed: beside the line where a core is left for it, after it where none is."""

import hashlib
import time
from pathlib import Path

import pytest
from nodestack_weights import trailing
from nodestack_weights.trailing import Trailing

PIECES = [bytes([number]) * (1 << 20) for number in range(3)]


def hashed_before_it_is_whole(path: Path) -> bool:
    """Return whether a file that grows is hashed before its writer is through; see that its hash is right."""
    path.write_bytes(b"".join(PIECES))
    with path.open("rb") as file:
        hashing = Trailing(file.fileno(), len(PIECES) << 20)
        deadline = time.monotonic() + 2
        whole = hashlib.sha256(path.read_bytes()).hexdigest()
        # More is to come: nobody asked for the hash yet.
        while not (early := hashing._digest.hexdigest() == whole) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert hashing.digest(lambda: None) == whole
        return early


@pytest.mark.parametrize(("cores", "early"), [(1, False), (2, False), (3, True), (208, True)])
def test_it_is_hashed_behind_the_line_only_where_a_core_is_left(
    cores: int, early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trailing, "_CORES", cores)
    assert hashed_before_it_is_whole(tmp_path / "shard") is early
