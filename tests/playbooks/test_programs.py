"""The module that installs a role's programs, and the lookup that reads them, as Ansible runs them."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodestack.provisioning.workspace import ANSIBLE, PLAYBOOKS

SCRIPT = "#!/usr/bin/python3\nprint('a')\n"
FILES = {"package/__init__.py": "", "package/a.py": "A = 1\n", "package/deep/b.py": "B = 1\n", "program": SCRIPT}


def test_files_are_there_with_their_modes_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first, second = installed(tmp_path), installed(tmp_path)

    assert first["changed"] and sorted(first["written"]) == sorted(FILES)
    assert not second["changed"] and second["written"] == second["removed"] == []
    assert {path: (tmp_path / "lib" / path).read_text() for path in FILES} == FILES
    assert modes(tmp_path / "lib") == {
        "package/__init__.py": "644",
        "package/a.py": "644",
        "package/deep/b.py": "644",
        "program": "755",
    }


def test_what_differs_is_written_and_modules_of_a_former_version_go(tmp_path: Path) -> None:
    installed(tmp_path)
    library = tmp_path / "lib"
    (library / "package/a.py").write_text("A = 2\n")
    (library / "program").chmod(0o777)
    (library / "package/former.py").write_text("")
    (library / "package/__pycache__").mkdir()
    (library / "another").write_text("of another role")

    told = installed(tmp_path)

    assert (told["written"], told["removed"]) == (["package/a.py", "program"], ["package/former.py"])
    assert (library / "package/a.py").read_text() == "A = 1\n" and (library / "another").exists()
    assert not (library / "package/former.py").exists() and (library / "package/__pycache__").exists()


def test_check_mode_tells_and_changes_nothing(tmp_path: Path) -> None:
    told = installed(tmp_path, check=True)

    assert told["changed"] and sorted(told["written"]) == sorted(FILES) and not (tmp_path / "lib").exists()


def test_links_are_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "lib/program").symlink_to(tmp_path / "elsewhere")

    installed(tmp_path)

    assert (tmp_path / "elsewhere").read_text() == "mine" and (tmp_path / "lib/program").read_text() == SCRIPT


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside"])
def test_paths_out_of_the_directory_are_refused(tmp_path: Path, path: str) -> None:
    told = installed(tmp_path, files={path: ""})

    assert told["failed"] and path in told["msg"] and not (tmp_path / "lib").exists()


def test_a_glob_that_matches_nothing_stops_the_play(tmp_path: Path) -> None:
    play = f"""
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {{role_path: {PLAYBOOKS}/roles/fabric, ansible_python_interpreter: {sys.executable}}}
  tasks:
    - programs:
        directory: {tmp_path}/lib
        files: "{{{{ query('role_files', term, names=dict([['fabric-gate', 'gate']])) }}}}"
"""
    (tmp_path / "play.yml").write_text(play)

    found, missed = played(tmp_path, "fabric-*"), played(tmp_path, "nothing-*")

    assert found.returncode == 0 and stat.S_IMODE((tmp_path / "lib/gate").stat().st_mode) == 0o755
    assert missed.returncode != 0 and "nothing-* matches no file" in missed.stdout


def played(directory: Path, term: str) -> subprocess.CompletedProcess[str]:
    """Play what lies in the directory with our configuration."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "-i", "localhost,", "-e", f"term={term}", directory / "play.yml"],
        capture_output=True, text=True, check=False,
        env=os.environ | ANSIBLE,
    )  # fmt: skip


def installed(directory: Path, *, files: dict[str, str] | None = None, check: bool = False) -> dict[str, Any]:
    """Run the module for a directory `lib`, and return what it tells."""
    wanted = [{"path": path, "content": content} for path, content in (files or FILES).items()]
    arguments = {"directory": str(directory / "lib"), "files": wanted, "_ansible_check_mode": check}
    ended = subprocess.run(
        [sys.executable, PLAYBOOKS / "library/programs.py"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def modes(directory: Path) -> dict[str, str]:
    """Return the mode of each file, by path."""
    return {
        str(path.relative_to(directory)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in directory.rglob("*")
        if path.is_file()
    }
