"""Which way leads to an engine, and that the next run finds it again."""

import threading
from pathlib import Path

import pytest

from bootstrap import engine
from bootstrap.checkout import Checkout, SetupError, cache_root
from bootstrap.engine import Engine
from bootstrap.processes import Processes
from bootstrap.progress import Progress
from tests.tools.bootstrap.conftest import program

INSTALLS = """
while [ "$1" != --install-root ]; do shift; done
mkdir -p "$2/bin"
printf '#!/bin/sh\\necho v3.259.0\\n' >"$2/bin/pulumi"
printf '#!/bin/sh\\n' >"$2/bin/pulumi-language-python"
chmod +x "$2/bin/pulumi" "$2/bin/pulumi-language-python"
"""


@pytest.fixture
def provide(checkout: Checkout, processes: Processes, progress: Progress, uv: Path) -> "Provide":
    return Provide(checkout, processes, progress, uv)


class Provide:
    def __init__(self, checkout: Checkout, processes: Processes, progress: Progress, uv: Path) -> None:
        self._given = (checkout, processes, progress, lambda: uv)

    def __call__(self) -> Engine:
        return engine.provide(*self._given)


def test_a_pulumi_on_path_with_its_host_is_used_as_it_is(tmp_path: Path, provide: Provide) -> None:
    pulumi = program(tmp_path / "bin" / "pulumi", "echo v3.261.2")
    program(tmp_path / "bin" / "pulumi-language-python", "")
    found = provide()
    assert (found.way, found.pulumi) == ("path", str(pulumi))


def test_our_language_host_stays_off_path_beside_an_engine_that_has_its_own(
    tmp_path: Path, checkout: Checkout, provide: Provide
) -> None:
    program(tmp_path / "installer.sh", INSTALLS)
    assert provide().way == "installer"
    assert not (checkout.state / "engine").exists()


@pytest.mark.parametrize(
    ("version", "host", "reason"),
    [("v3.258.9", True, "is v3.258.9, older than 3.259.0"), ("v3.259.0", False, "without its Python language host")],
)
def test_a_pulumi_on_path_that_will_not_do_is_passed_over_and_the_reason_told(
    tmp_path: Path, provide: Provide, version: str, host: bool, reason: str
) -> None:
    program(tmp_path / "bin" / "pulumi", f"echo {version}")
    if host:
        program(tmp_path / "bin" / "pulumi-language-python", "")
    program(tmp_path / "installer.sh", INSTALLS)
    found = provide()
    assert found.way == "installer"
    assert reason in found.reason


@pytest.mark.usefixtures("go")
def test_out_of_the_installers_reach_the_engine_is_built_and_stands_beside_our_host(
    checkout: Checkout, provide: Provide
) -> None:
    found = provide()
    assert found.way == "built"
    assert "out of reach; built from Go modules with Go 1.26.8 on PATH" in found.reason
    together = Path(found.directory)
    assert sorted(path.name for path in together.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
    ]
    # The engine resolves links to itself and would look for its host in the cache.
    assert not (together / "pulumi").is_symlink()
    assert (together / "pulumi-language-python").resolve() == checkout.tools / "engine" / "pulumi-language-python"


@pytest.mark.usefixtures("go")
def test_an_installer_that_fails_leads_to_a_build_and_leaves_nothing_in_the_cache(
    tmp_path: Path, provide: Provide
) -> None:
    program(tmp_path / "installer.sh", "echo no space; exit 3")
    found = provide()
    assert found.way == "built"
    assert "the official installer failed" in found.reason
    assert len([path for path in (cache_root() / "engine").iterdir() if path.is_dir()]) == 1


@pytest.mark.usefixtures("go")
def test_two_builds_at_once_are_one(tmp_path: Path, provide: Provide) -> None:
    both = [threading.Thread(target=provide) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert (tmp_path / "builds").read_text() == "built\n"


@pytest.mark.usefixtures("go")
def test_a_build_that_failed_halfway_is_not_taken_for_an_engine(
    tmp_path: Path, checkout: Checkout, provide: Provide
) -> None:
    go = tmp_path / "bin" / "go"
    whole = go.read_text()
    go.write_text(whole.replace("echo built", "touch half; exit 1; echo built"))
    with pytest.raises(SetupError, match="engine: go failed"):
        provide()
    assert engine.recorded(checkout) is None
    go.write_text(whole)
    assert provide().way == "built"


@pytest.mark.usefixtures("go")
def test_what_was_decided_holds_until_something_it_was_decided_from_changes(
    checkout: Checkout, provide: Provide
) -> None:
    found = provide()
    assert engine.recorded(checkout) == found
    (checkout.tools / "engine" / "go.sum").write_text("another")
    assert engine.recorded(checkout) is None


@pytest.mark.usefixtures("go")
def test_an_engine_that_has_gone_is_provided_again(checkout: Checkout, provide: Provide) -> None:
    Path(provide().pulumi).unlink()
    assert engine.recorded(checkout) is None
    assert Path(provide().pulumi).exists()


@pytest.mark.usefixtures("go")
def test_what_was_put_together_for_a_checkout_does_not_pass_for_an_installation(
    provide: Provide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{provide().directory}:/usr/bin:/bin")
    assert provide().way == "built"


def test_a_forced_way_is_the_only_one_tried(tmp_path: Path, provide: Provide, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "installer.sh", INSTALLS)
    monkeypatch.setenv("NODESTACK_ENGINE", "path")
    with pytest.raises(SetupError, match="no Pulumi engine: no pulumi on PATH"):
        provide()
    monkeypatch.setenv("NODESTACK_ENGINE", "guess")
    with pytest.raises(SetupError, match="use one of path, installer, built"):
        provide()
