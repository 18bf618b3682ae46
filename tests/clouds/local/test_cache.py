import threading
from pathlib import Path

import pytest

from nodestack.clouds.local.cache import cache_root, cached


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))


def test_the_same_material_is_built_once() -> None:
    built: list[Path] = []

    def build(directory: Path) -> None:
        built.append(directory)
        (directory / "file").write_text("content")

    first, second = cached("kind", b"v1", build), cached("kind", b"v1", build)

    assert first == second
    assert len(built) == 1
    assert (first / "file").read_text() == "content"


def test_other_material_is_another_entry() -> None:
    assert cached("kind", b"v1", lambda _: None) != cached("kind", b"v2", lambda _: None)


def test_a_failed_build_leaves_no_entry_and_the_next_one_starts_empty() -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        cached("kind", b"v1", fail)
    assert list(cached("kind", b"v1", lambda _: None).iterdir()) == []


def test_what_a_killed_builder_left_is_cleared() -> None:
    entry = cached("kind", b"v1", lambda _: None)
    unfinished = entry.with_name(f"{entry.name}.unfinished")
    entry.rmdir()
    unfinished.mkdir()
    (unfinished / "half").write_text("half")

    assert list(cached("kind", b"v1", lambda _: None).iterdir()) == []
    assert not unfinished.exists()


def test_many_at_once_build_once() -> None:
    built: list[Path] = []
    threads = [threading.Thread(target=cached, args=("kind", b"v1", built.append)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_relative_xdg_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_root() == Path.home() / ".cache" / "nodestack"
